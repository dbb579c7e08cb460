/** Logs failed introspection requests, without content of tokens, secrets and responses. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Status, Unavailable } from "../authorizationServer/http.ts"
import { otherIssuer } from "../authorizationServer/metadata.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"

export type Failure = Unavailable | Status | "Credentials"

/**
 * Time between two warnings of one kind, in milliseconds. Otherwise, an attacker could fill the log with many tokens.
 */
const warningInterval = 600_000

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
    const isNew = before === undefined || elapsed(before, now) >= warningInterval
    if (isNew) {
      this.#warned.set(kind, now)
      this.#mayReportRecovery = true
    }
    return (isNew ? Effect.logWarning : Effect.logDebug)(
      `An introspection request to the authorization server failed${adviceAbout(kind)}`
    ).pipe(Effect.annotateLogs({ issuer: this.#issuer, reason: kind }))
  }

  /** Logs only the name of the error, because its message may contain a secret. */
  credentials(cause: Cause.Cause<unknown>): Effect.Effect<void> {
    const error = Cause.squash(cause)
    return Effect.logDebug("The credentials option of TokenIntrospection failed.").pipe(
      Effect.annotateLogs({ issuer: this.#issuer, error: error instanceof Error ? error.name : typeof error })
    )
  }

  /**
   * Logs at most one Info message after each warning, because an attacker can make the circuit half-open at any time.
   */
  get recovery(): Effect.Effect<void> {
    const log = this.#mayReportRecovery ? Effect.logInfo : Effect.logDebug
    this.#mayReportRecovery = false
    return Effect.annotateLogs(log("Introspection requests to the authorization server work again."), {
      issuer: this.#issuer
    })
  }
}

const adviceAbout = (kind: string | number): string => {
  switch (kind) {
    case "Credentials":
      return ". The credentials option failed. The Debug log contains the name of the error."
    case 400:
    case 401:
    case 403:
      return ". The server refused the request. Check clientId, clientSecret and authMethod, and whether this client may introspect tokens."
    case "IssuerMismatch":
      return `: ${otherIssuer}`
    case "BadResponse":
      return ". The introspection response or the server metadata is invalid, or the metadata has no introspection_endpoint. Check the endpoint option."
    default:
      return "."
  }
}
