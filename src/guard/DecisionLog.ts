/**
 * Records each grant and refusal, for audits.
 *
 * @since 0.1.0
 */
export { type Decision, DecisionLog } from "./scheme/decisionLog.ts"
