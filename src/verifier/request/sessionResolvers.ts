/** Attaches to a verifier what a session cookie stands for. */
import type * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import type { NotAuthenticated } from "../../core/SecurityError.ts"
import type { Rejection, VerifierService } from "../cache/verified.ts"

/** What a session is for an API: an access token that the verifier verifies, or the identity itself. */
export type Resolved =
  | { readonly _tag: "AccessToken"; readonly token: Redacted.Redacted }
  | { readonly _tag: "Identity"; readonly token: Redacted.Redacted; readonly identity: VerifiedToken }

/** Fails with `NotAuthenticated` if the cookie has no session. */
export type Resolve = (
  cookie: Redacted.Redacted,
  request: HttpServerRequest
) => Effect.Effect<Resolved, NotAuthenticated | Rejection>

export interface SessionResolver {
  readonly resolve: Resolve
  /** The name of the cookie that the login sets. `undefined`: any name. */
  readonly cookieName: string | undefined
}

// A private map, so that no value in a context can pass as a session.
const resolvers = new WeakMap<VerifierService, SessionResolver>()

/** Returns a verifier that also resolves session cookies. */
export const attach = (verifier: VerifierService, resolver: SessionResolver): VerifierService => {
  const { invalidate, verify } = verifier
  const extended: VerifierService = { verify, invalidate }
  resolvers.set(extended, resolver)
  return extended
}

export const resolverOf = (verifier: VerifierService): SessionResolver | undefined => resolvers.get(verifier)
