/** Metrics and logs of a key set. They never contain keys or token content. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Failure, Unavailable } from "../authorizationServer/failure.ts"
import { otherIssuer } from "../authorizationServer/metadata.ts"
import type { IndexedKeys, RefusedKeys } from "./keys.ts"

const ages = Metric.gauge("oauth2_key_set_age_seconds", {
  description: "Age of the issuer's keys in use, in seconds"
})
const fetches = Metric.counter("oauth2_key_set_fetches_total", {
  description: "Fetches of an issuer's keys by outcome",
  incremental: true
})

/** Registers the age gauge. `millisAt` runs when the metrics are read. */
export const registerAge = (
  issuer: string,
  millisAt: (clock: Clock.Clock) => number
): Effect.Effect<Metric.Registration> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.sync(() =>
      Metric.registerUnsafe(Metric.withAttributes(ages, { issuer }), context, {
        get: (reader) => ({ value: millisAt(Context.get(reader, Clock.Clock)) / 1000 }),
        update: () => {},
        modify: () => {}
      })
    )
  )

export type Outcome = "success" | "unreachable" | "timeout" | "bad_response" | "issuer_mismatch"

export const outcomeOf = (reason: Unavailable): Outcome => {
  switch (reason) {
    case "Timeout":
      return "timeout"
    case "BadResponse":
      return "bad_response"
    case "IssuerMismatch":
      return "issuer_mismatch"
    default:
      return "unreachable"
  }
}

export const countFetch = (issuer: string, outcome: Outcome): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(fetches, { issuer, outcome }), 1)

// A publisher must not inject text into the log: only short, visible ASCII is shown.
export const label = (text: string | undefined): string =>
  text === undefined ? "(none)" : /^[\x21-\x7e]{1,64}$/.test(text) ? text : "(not shown)"

export const reportRefused = (issuer: string, { kid, kty, reason }: RefusedKeys): Effect.Effect<void> =>
  Effect.logWarning("A published key is refused.").pipe(
    Effect.annotateLogs({ issuer, reason, kty: label(kty), kid: label(kid) })
  )

export const reportNoKeys = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning("No published key is usable, so every token is refused."), { issuer })

export const reportNoKids = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logWarning(
      "A token with a kid was refused, because no key of the issuer has a kid. Publish each key with the kid that its tokens name."
    ),
    { issuer }
  )

/** Logs problems of the fetched keys that the previous keys did not have. */
export const reportKeys = Effect.fnUntraced(function* (
  issuer: string,
  keys: IndexedKeys,
  previous: IndexedKeys | undefined
) {
  for (const [text, refused] of keys.refused) {
    if (previous?.refused.has(text) !== true) yield* reportRefused(issuer, refused)
  }
  if (keys.byAlgorithm.size === 0 && previous?.byAlgorithm.size !== 0) yield* reportNoKeys(issuer)
})

export const reportFailure = (issuer: string, failure: Failure, first: boolean): Effect.Effect<void> =>
  (first ? Effect.logWarning : Effect.logDebug)(
    `The issuer's keys could not be fetched. ${failure.text}${adviceAbout(failure)}`
  ).pipe(Effect.annotateLogs({ issuer, ...failure.annotations }))

const adviceAbout = ({ detail, document, reason }: Failure): string => {
  switch (reason) {
    case "IssuerMismatch":
      return `: ${detail ?? otherIssuer}.`
    case "BadResponse":
      return document === "metadata"
        ? ". Check the issuer option. If the issuer has no metadata, use KeySet.layerRemote with the URL of its keys."
        : ". Check the URL of the key set."
    default:
      return ". Check that the issuer is reachable."
  }
}

export const reportRecovery = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logInfo("Fetching the issuer's keys works again."), { issuer })

export const reportStale = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logWarning("Stale keys are in use, because the issuer is unavailable."), { issuer })

export const reportExpired = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logError(
      "The stale keys have expired. Requests with a token get a 503 response until the issuer is available."
    ),
    { issuer }
  )
