/** Logs failed introspection requests, without content of tokens, secrets and responses. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Failure } from "../authorizationServer/failure.ts"
import { otherIssuer } from "../authorizationServer/metadata.ts"
import { elapsed, type Instant, readInstant } from "../../core/lib/instant.ts"

export type Problem = Failure | "Credentials"

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

  failure(problem: Problem, clock: Clock.Clock): Effect.Effect<void> {
    const now = readInstant(clock)
    const kind = problem === "Credentials" ? problem : (problem.status ?? problem.reason)
    const before = this.#warned.get(kind)
    const isNew = before === undefined || elapsed(before, now) >= warningInterval
    if (isNew) {
      this.#warned.set(kind, now)
      this.#mayReportRecovery = true
    }
    return (isNew ? Effect.logWarning : Effect.logDebug)(
      `An introspection request to the authorization server failed${adviceAbout(problem)}`
    ).pipe(
      Effect.annotateLogs({
        issuer: this.#issuer,
        ...(problem === "Credentials" ? undefined : problem.annotations),
        reason: kind
      })
    )
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

const adviceAbout = (problem: Problem): string => {
  if (problem === "Credentials") {
    return ". The credentials option failed. The Debug log contains the name of the error."
  }
  const { detail, document, reason, status, text } = problem
  if (reason === "IssuerMismatch") return `. ${text}: ${detail ?? otherIssuer}.`
  if (document === "metadata") {
    return reason === "BadResponse" ? `. ${text}. Check the issuer option, or set the endpoint option.` : `. ${text}.`
  }
  switch (status) {
    case 400:
    case 401:
    case 403:
      return `. ${text}. The server refused the request. Check clientId, clientSecret or clientKey, and authMethod, and whether this client may introspect tokens. If only some tokens cause it, the server responds so to tokens that it does not know, instead of { "active": false } (RFC 7662 §2.2).`
  }
  return reason === "BadResponse" ? `. ${text}. Check the endpoint option.` : `. ${text}.`
}
