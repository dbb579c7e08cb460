import { Effect, Metric } from "effect"

/** Look-ups and verifications of tokens, by outcome, as the metrics say. */
export const countsByOutcome = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state }) =>
      id.startsWith("oauth2_token_") && "count" in state && state.count !== 0
        ? [[attributes?.["outcome"], state.count]]
        : []
    )
  )
)
