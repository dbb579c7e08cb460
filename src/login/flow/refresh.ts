/** Renews the access token of a session: one request at a time for each session, in all processes. */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ReauthenticationRequired, type TokenError, TokenUnavailable } from "../../client/ClientError.ts"
import type { TokenResponse } from "../../client/protocol/tokenEndpoint.ts"
import type { StoreUnavailable } from "../../stores/storeUnavailable.ts"
import type { Session, SessionData } from "../sessions/model.ts"
import type { Connection, LoginContext } from "./context.ts"
import { identify, scopesOf } from "./identity.ts"
import { connectionOf } from "./logout.ts"

/**
 * The request has no session, or the session has ended.
 *
 * **Example** (Reading the message)
 *
 * ```ts
 * import { NotSignedIn } from "effect-oauth2/login"
 *
 * export const message = new NotSignedIn().message
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class NotSignedIn extends Data.TaggedError("NotSignedIn") {
  override get message(): string {
    return "No user is signed in. Let the browser open the path of the login."
  }
}

export type RefreshError = NotSignedIn | StoreUnavailable | TokenError

/** A token that expires sooner is renewed before it is used. */
const margin = 30_000

/** Requests in an outage do not wait one after the other for the provider. */
const maxFailures = 10_000

interface Failure {
  readonly error: TokenUnavailable
  readonly until: number
}

const isDue = ({ accessTokenExpiresAt: expiresAt }: SessionData, now: number): boolean =>
  expiresAt !== undefined && expiresAt - margin <= now

const isExpired = ({ accessTokenExpiresAt: expiresAt }: SessionData, now: number): boolean =>
  expiresAt !== undefined && expiresAt <= now

export const make = (context: LoginContext) => {
  const { sessions } = context
  const failures = new Map<string, Failure>()
  /** Tokens that the store has not written, by the session. */
  const unwritten = new Map<string, { readonly version: number; readonly data: SessionData }>()

  const current = (cookie: Redacted.Redacted): Effect.Effect<Session, NotSignedIn | StoreUnavailable> =>
    Effect.flatMap(
      sessions.read(cookie),
      Option.match({ onNone: () => Effect.fail(new NotSignedIn()), onSome: (session) => Effect.succeed(session) })
    )

  /** An access token works until it expires, whether the provider answers or not. */
  const outage = Effect.fnUntraced(function* (session: Session, error: TokenError | undefined) {
    const now = yield* Clock.currentTimeMillis
    if (!isExpired(session, now)) return session
    return yield* Effect.fail(error ?? new ReauthenticationRequired({ issuer: session.issuer, error: "expired_token" }))
  })

  const failed = Effect.fnUntraced(function* (cookie: Redacted.Redacted, session: Session, error: TokenError) {
    if (error._tag === "ReauthenticationRequired") {
      const latest = yield* current(cookie)
      // A process without the lock was faster, so its refresh token is the valid one.
      if (textOf(latest.refreshToken) !== textOf(session.refreshToken)) return latest
      // It may be about to write.
      if (latest.version !== session.version) return yield* outage(latest, lockLost(latest))
      yield* sessions.destroy(cookie, session.version)
      return yield* Effect.fail(error)
    }
    const now = yield* Clock.currentTimeMillis
    if (error._tag === "TokenUnavailable") {
      if (failures.size >= maxFailures) failures.clear()
      failures.set(session.id, { error, until: now + Duration.toMillis(error.retryAfter) })
    }
    return yield* outage(session, error)
  })

  /**
   * Takes the version before the refresh token is used. This fails if the lock has passed to another process, and if the
   * store accepts no writes, which would lose the new refresh token.
   */
  const claimed = Effect.fnUntraced(function* (cookie: Redacted.Redacted, session: Session) {
    const isClaimed = yield* sessions.replace(cookie, session.version, formerOf(session))
    return isClaimed ? { ...session, version: session.version + 1 } : undefined
  })

  /** Writes new data. If the store fails, the next request writes them again, because the old refresh token is used. */
  const write = Effect.fnUntraced(function* (cookie: Redacted.Redacted, { id, version }: Session, data: SessionData) {
    if (unwritten.size >= maxFailures) unwritten.clear()
    unwritten.set(id, { version, data })
    yield* sessions.replace(cookie, version, data)
    unwritten.delete(id)
    // The session may have ended meanwhile. Then it does not come back.
    return yield* current(cookie)
  })

  const exchange = (
    cookie: Redacted.Redacted,
    connection: Connection,
    session: Session,
    refreshToken: Redacted.Redacted
  ): Effect.Effect<Session, RefreshError> =>
    Effect.matchEffect(connection.endpoint.request("refresh_token", parametersOf(refreshToken)), {
      onFailure: (error) => failed(cookie, session, error),
      onSuccess: Effect.fnUntraced(function* (response: TokenResponse) {
        failures.delete(session.id)
        const data = yield* dataOf(connection, session, response)
        if (data === undefined) {
          yield* sessions.destroy(cookie)
          return yield* Effect.fail(new NotSignedIn())
        }
        return yield* write(cookie, session, data)
      })
    })

  /** Runs under the lock of the session. */
  const refreshed = (cookie: Redacted.Redacted, connection: Connection): Effect.Effect<Session, RefreshError> =>
    Effect.gen(function* () {
      const session = yield* current(cookie)
      const now = yield* Clock.currentTimeMillis
      const lost = unwritten.get(session.id)
      if (lost !== undefined) {
        if (lost.version === session.version) return yield* write(cookie, session, lost.data)
        unwritten.delete(session.id)
      }
      // Another request was faster.
      if (!isDue(session, now)) return session
      const failure = failures.get(session.id)
      if (failure !== undefined && failure.until > now) return yield* outage(session, failure.error)
      const { refreshToken } = session
      if (refreshToken === undefined) return yield* outage(session, undefined)
      const mine = yield* claimed(cookie, session)
      if (mine !== undefined) return yield* exchange(cookie, connection, mine, refreshToken)
      const latest = yield* current(cookie)
      return isDue(latest, now) ? yield* outage(latest, lockLost(latest)) : latest
    })

  /** Returns a session whose access token may be used. */
  return Effect.fnUntraced(function* (
    cookie: Redacted.Redacted,
    session: Session
  ): Effect.fn.Return<Session, RefreshError> {
    const now = yield* Clock.currentTimeMillis
    if (!isDue(session, now)) return session
    const connection = connectionOf(context, session)
    if (session.refreshToken === undefined || connection === undefined || !sessions.isServerSide) {
      return isExpired(session, now)
        ? yield* Effect.fail(new ReauthenticationRequired({ issuer: session.issuer, error: "expired_token" }))
        : session
    }
    // A request that ends early must not interrupt the refresh between the exchange and the write, which would lose the
    // new refresh token. Nor may it give the lock away before the write.
    const lock = sessions.withLock(cookie, refreshed(cookie, connection))
    return yield* Effect.flatMap(Effect.forkDetach(lock, { startImmediately: true }), Fiber.join)
  })
}

const textOf = (token: Redacted.Redacted | undefined): string | undefined => token && Redacted.value(token)

/** Another process has the lock now, and writes its result soon. */
const lockLost = ({ issuer }: Session): TokenUnavailable =>
  new TokenUnavailable({ issuer, reason: "Store", retryAfter: Duration.seconds(1) })

const formerOf = (session: Session): SessionData => {
  const { createdAt: _, expiresAt: _1, id: _2, lastUsedAt: _3, version: _4, ...data } = session
  return data
}

const parametersOf = (refreshToken: Redacted.Redacted) => ({ refresh_token: Redacted.value(refreshToken) })

/** Returns the data of the session after a refresh, or `undefined` if the ID token is invalid or names another user. */
const dataOf = Effect.fnUntraced(function* (connection: Connection, session: Session, response: TokenResponse) {
  const { idToken, lifetime, refreshToken, sentAt } = response
  // OpenID Connect Core 1.0 §12.2: the ID token of a refresh names the same user. Without the keys of the issuer, the
  // former ID token stays.
  const person =
    idToken === undefined || connection.identity._tag === "Request"
      ? Option.none()
      : yield* identify(connection, response, { nonce: undefined, maxAge: undefined, form: {} }).pipe(
          Effect.map(Option.some),
          Effect.catch((failed) =>
            // A token that fails a check ends the session. Without the keys of the issuer, no check has failed.
            Effect.succeed(failed.reason === "CheckFailed" ? undefined : Option.none())
          )
        )
  if (person === undefined) return undefined
  if (Option.isSome(person) && (person.value.subject !== session.subject || person.value.issuer !== session.issuer)) {
    return undefined
  }
  const data: SessionData = {
    ...formerOf(session),
    scopes: response.scopes === undefined ? session.scopes : scopesOf(response, connection.provider),
    accessToken: response.accessToken,
    accessTokenExpiresAt: lifetime === undefined ? undefined : sentAt + lifetime,
    // A server that does not rotate sends no new one (RFC 6749 §6).
    refreshToken: refreshToken ?? session.refreshToken,
    idToken: Option.isSome(person) ? idToken : session.idToken
  }
  return data
})
