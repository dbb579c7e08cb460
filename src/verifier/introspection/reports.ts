/** What the log says of questions that fail: nothing of tokens, secrets and answers. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Status, Unavailable } from "../authorizationServer/http.ts"
import { otherIssuer } from "../authorizationServer/metadata.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"

/** Why a question has no answer. */
export type Failure = Unavailable | Status | "Credentials"

/** Somebody who sends many tokens could fill the log: each kind of failure is a warning so often, in milliseconds. */
const warnAfter = 600_000

export class Reports {
  readonly #issuer: string
  readonly #warned = new Map<string | number, Instant>()
  #mayReportRecovery = false

  constructor(issuer: string) {
    this.#issuer = issuer
  }

  failure(reason: Failure, clock: Clock.Clock): Effect.Effect<void> {
    const now = readInstant(clock)
    const kind = typeof reason === "object" ? reason.status : reason
    const before = this.#warned.get(kind)
    const isNew = before === undefined || elapsed(before, now) >= warnAfter
    if (isNew) {
      this.#warned.set(kind, now)
      this.#mayReportRecovery = true
    }
    return (isNew ? Effect.logWarning : Effect.logDebug)(
      `The authorization server could not be asked about a token${adviceAbout(kind)}`
    ).pipe(Effect.annotateLogs({ issuer: this.#issuer, reason: kind }))
  }

  /** Of an error only its name is told. */
  credentials(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const error = Cause.squash(cause)
    return Effect.logDebug("The credentials for introspection could not be had").pipe(
      Effect.annotateLogs({ issuer: this.#issuer, error: error instanceof Error ? error.name : typeof error })
    )
  }

  /** An attacker can make the circuit half-open at any time. Each warning is followed by at most one message at the level Info. */
  get recovery(): Effect.Effect<void> {
    const log = this.#mayReportRecovery ? Effect.logInfo : Effect.logDebug
    this.#mayReportRecovery = false
    return Effect.annotateLogs(log("The authorization server is asked about tokens again"), { issuer: this.#issuer })
  }
}

const adviceAbout = (kind: string | number): string => {
  switch (kind) {
    case "Credentials":
      return ": credentials has failed. At the level Debug the log has the name of its error"
    case 400:
    case 401:
    case 403:
      return ": it refuses the question. Look at the clientId and the clientSecret, and at how they are sent (authMethod); and whether this client may introspect"
    case "IssuerMismatch":
      return `: ${otherIssuer}`
    case "BadResponse":
      return ": where its answer, or its metadata, should be is something else; or its metadata names no introspection_endpoint. endpoint says where to ask"
    default:
      return ""
  }
}
