import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import type { VerifiedToken } from "../AccessToken.ts"
import { BearerToken } from "../BearerToken.ts"
import type {
  AuthorizationServerUnavailable,
  InvalidRequest,
  InvalidToken,
  NotAuthenticated
} from "../SecurityError.ts"
import type { TokenVerifier } from "../TokenVerifier.ts"
import * as authorizationHeader from "./authorizationHeader.ts"

type Rejection = InvalidToken | AuthorizationServerUnavailable

/** One credential and its verification, which is remembered. */
export interface Verification {
  readonly token: Redacted.Redacted
  readonly verified: Effect.Effect<VerifiedToken, Rejection>
}

// A request's verification is remembered while the request is decided about, not for as long as a stream or a socket of it lives (nor where a
// program has it handled twice), and never for longer than the token is good. An outage is not remembered: the next who asks may have an answer.
const seconds30 = 30_000

const remembered = (verify: Effect.Effect<VerifiedToken, Rejection>): Effect.Effect<VerifiedToken, Rejection> => {
  const timed = Effect.zip(verify, Clock.currentTimeMillis)
  const timeToLive = (exit: Exit.Exit<readonly [VerifiedToken, number], Rejection>): Duration.Input => {
    if (Exit.isSuccess(exit)) {
      const [{ expiresAt }, now] = exit.value
      return Math.min(seconds30, Math.max(0, expiresAt.epochMilliseconds - now))
    }
    return Option.exists(Exit.findErrorOption(exit), ({ _tag }) => _tag === "InvalidToken") ? seconds30 : 0
  }
  // Making the cache is synchronous; what it caches runs when it is first asked for.
  return Effect.map(Effect.runSync(Effect.cachedWithTTL(timed, timeToLive)), ([token]) => token)
}

/** What is remembered of one request: the credential of its `Authorization` field, and the last token that a program brought besides. */
interface Memory {
  header: string | undefined
  credential: Verification | NotAuthenticated | InvalidRequest | undefined
  last: Verification | undefined
}

/**
 * What a scheme knows at run time: its verifier, and what it has verified. The memory is private to the instance, so nothing that a program puts into a
 * context can pass for a verification. It is kept for one handling of a request: by the scope in which the server handles it (a block of
 * `Effect.scoped` verifies anew), and by the request itself.
 */
export class Authenticator {
  readonly #verify: TokenVerifier["Service"]["verify"]
  readonly #requests = new WeakMap<object, WeakMap<object, Memory>>()

  constructor(verify: TokenVerifier["Service"]["verify"]) {
    this.#verify = verify
  }

  /** The credential of a request. It is extracted once, and again only if the `Authorization` field was changed on the way. */
  fromRequest(
    request: HttpServerRequest,
    context: Context.Context<never>
  ): Verification | NotAuthenticated | InvalidRequest {
    const memory = this.#memoryOf(request, context)
    const header = request.headers["authorization"]
    if (memory.credential === undefined || memory.header !== header) {
      const credential = authorizationHeader.fromRequest(request, Context.get(context, BearerToken.MaxLength))
      memory.header = header
      memory.credential =
        typeof credential === "string" ? this.#verification(memory, authorizationHeader.redact(credential)) : credential
    }
    return memory.credential
  }

  /** The verification of a token that a program was given, one a request where there is a request. */
  fromToken(token: Redacted.Redacted, context: Context.Context<never>): Verification["verified"] {
    const request = Context.getOrUndefined(context, HttpServerRequest)
    return request === undefined
      ? this.#verify(token)
      : this.#verification(this.#memoryOf(request, context), token).verified
  }

  #memoryOf(request: HttpServerRequest, context: Context.Context<never>): Memory {
    const handling = Context.getOrUndefined(context, Scope.Scope) ?? request.source
    const memories = this.#requests.get(handling) ?? new WeakMap<object, Memory>()
    const memory = memories.get(request.source) ?? { header: undefined, credential: undefined, last: undefined }
    this.#requests.set(handling, memories.set(request.source, memory))
    return memory
  }

  /** The header's own verification, or the last one: a client that sends one token after the other fills no memory. */
  #verification(memory: Memory, token: Redacted.Redacted): Verification {
    const { credential, last } = memory
    for (const known of [credential, last]) {
      if (known !== undefined && "verified" in known && Redacted.value(known.token) === Redacted.value(token))
        return known
    }
    memory.last = { token, verified: remembered(this.#verify(token)) }
    return memory.last
  }
}

/** For tests: every request, and every token, is the given one. Scopes are still decided. */
export class TestAuthenticator extends Authenticator {
  readonly #verification: Verification

  constructor(verified: Verification["verified"]) {
    super(() => verified)
    this.#verification = { token: authorizationHeader.redact("test"), verified }
  }

  override fromRequest(): Verification {
    return this.#verification
  }

  override fromToken(): Verification["verified"] {
    return this.#verification.verified
  }
}
