/** What the routes of a login share. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import type { HttpServerResponse } from "effect/http/HttpServerResponse"
import type * as Redacted from "effect/Redacted"
import type { TokenError } from "../../client/ClientError.ts"
import type { TokenEndpoint } from "../../client/protocol/tokenEndpoint.ts"
import type { TokenVerifier } from "../../verifier/TokenVerifier.ts"
import type { Claims, LoginProvider } from "../provider/model.ts"
import type { KeyRing } from "../../stores/keyRing.ts"
import type { SessionStore } from "../sessions/store.ts"
import type { Cookies } from "../web/cookies.ts"
import type { Problem } from "../web/problem.ts"

export interface Paths {
  readonly login: string
  readonly callback: string
  readonly logout: string
  readonly session: string
  readonly backChannelLogout: string
  readonly frontChannelLogout: string
}

type Verify = TokenVerifier["Service"]["verify"]

/** A provider, and what is needed to talk to it. */
export interface Connection {
  /** Name among the providers of the app. `undefined` if there is one provider. */
  readonly name: string | undefined
  readonly provider: LoginProvider
  readonly endpoint: TokenEndpoint
  readonly redirectUri: string
  readonly identity:
    | { readonly _tag: "IdToken"; readonly verify: Verify; readonly verifyLogoutToken: Verify }
    | {
        readonly _tag: "Request"
        readonly identify: (
          token: Redacted.Redacted
        ) => Effect.Effect<{ readonly subject: string; readonly claims: Claims }, TokenError>
      }
}

export interface LoginContext {
  /** Public origin of the app. */
  readonly origin: string
  readonly paths: Paths
  readonly cookies: Cookies
  readonly keys: KeyRing
  readonly sessions: SessionStore
  readonly connections: ReadonlyArray<Connection>
  readonly cookieMaxAge: Duration.Duration | undefined
  readonly keptClaims: ReadonlySet<string> | undefined
  /** Where a browser goes without `return_to`. */
  readonly afterLogin: string
  readonly afterLogout: string
  readonly respond: (problem: Problem) => Effect.Effect<HttpServerResponse>
  readonly client: HttpClient
}

/** Path of a route that exists once for each provider. */
export const pathOf = (path: string, { name }: Pick<Connection, "name">): string =>
  name === undefined ? path : `${path}/${name}`
