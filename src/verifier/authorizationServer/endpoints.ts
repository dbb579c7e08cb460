/** Finds the endpoints at which clients of an issuer get tokens. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { NeedsHttpClient } from "../../core/missing.ts"
import { AuthorizationServerUnavailable, type ConfigurationError } from "../../core/SecurityError.ts"
import { requireHttpHosts, requireIssuer } from "../../core/url.ts"
import { Failure } from "./failure.ts"
import { makeReader } from "./http.ts"
import { otherIssuer, readMetadata } from "./metadata.ts"

/** The largest metadata that is read, and how long the server may take. */
const maxBytes = 512 * 1024
const timeLimit = Duration.seconds(10)

interface Endpoints {
  readonly authorizationUrl: string
  readonly tokenUrl: string
}

export const fetchEndpoints = Effect.fnUntraced(function* (
  issuer: string,
  httpHosts: ReadonlyArray<string> | undefined
): Effect.fn.Return<Endpoints, ConfigurationError | AuthorizationServerUnavailable, NeedsHttpClient> {
  const hosts = yield* requireHttpHosts(httpHosts)
  const url = yield* requireIssuer("issuer", issuer, hosts)
  const reader = yield* makeReader(maxBytes)
  const found = Effect.flatMap(readMetadata(reader, url, issuer, hosts), ({ urlOf }) =>
    Effect.zipWith(urlOf("authorization_endpoint"), urlOf("token_endpoint"), (authorization, token) => ({
      authorizationUrl: authorization.href,
      tokenUrl: token.href
    }))
  )
  return yield* found.pipe(
    Effect.timeoutOrElse({
      duration: timeLimit,
      orElse: () => Effect.fail(new Failure("Timeout").of("metadata", url))
    }),
    Effect.tapError((failure) => report(issuer, failure)),
    Effect.mapError(
      ({ reason }) => new AuthorizationServerUnavailable({ issuer, reason, retryAfter: Duration.seconds(5) })
    )
  )
})

const report = (issuer: string, failure: Failure): Effect.Effect<void> =>
  Effect.logWarning(
    `The endpoints of the issuer could not be fetched. ${failure.text}${
      failure.reason === "IssuerMismatch" ? `: ${failure.detail ?? otherIssuer}` : ""
    }. Check the issuer option, or write the URLs into the scheme.`
  ).pipe(Effect.annotateLogs({ issuer, ...failure.annotations }))
