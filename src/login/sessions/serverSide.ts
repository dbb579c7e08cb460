/**
 * Sessions that a server keeps. The cookie contains an identifier and a key. The store has the hash of the identifier,
 * and the data encrypted with the key, so a copy of the store gives access to nothing.
 */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import * as sessionEnds from "../../verifier/request/sessionEnds.ts"
import type { SessionBackend } from "./backend.ts"
import { type Session, type SessionData, SignedOut } from "./model.ts"
import type { Timeouts } from "./options.ts"
import type { SessionStore } from "./store.ts"
import * as hash from "../../stores/hash.ts"
import * as crypto from "../../stores/seal.ts"
import { fromJson, toJson } from "./serialized.ts"

const idLength = 16
const keyLength = 32
/** 48 bytes in base64url. */
const cookieForm = /^[\w-]{64}$/

/** Each request uses a session, and a write for each would be expensive. */
const touchInterval = 60_000

/** Time in which a sign-in that began before a logout may still finish. */
export const markLifetime = 15 * 60_000

export const make = (backend: SessionBackend, { absolute, idle }: Timeouts): SessionStore => {
  const withCookie =
    <A, E, R>(use: (key: string, secret: CryptoKey) => Effect.Effect<A, E, R>, otherwise: Effect.Effect<A, E, R>) =>
    (cookie: Redacted.Redacted): Effect.Effect<A, E, R> => {
      const bytes = cookieForm.test(Redacted.value(cookie)) ? crypto.decode(Redacted.value(cookie)) : undefined
      return bytes?.length === idLength + keyLength
        ? Effect.flatMap(keyOf(bytes), (key) =>
            Effect.flatMap(crypto.importKey(bytes.slice(idLength)), (secret) => use(key, secret))
          )
        : otherwise
    }

  const isSignedOut = Effect.fnUntraced(function* (owners: Owners, startedAt: number) {
    // A session at the issuer does not come back after its end. A user does.
    if (owners.session !== undefined && (yield* backend.findMark(owners.session)) !== undefined) return true
    const at = yield* backend.findMark(owners.subject)
    return at !== undefined && at >= startedAt
  })

  return {
    isServerSide: true,
    create: (data, startedAt) =>
      Effect.gen(function* () {
        const bytes = crypto.randomBytes(idLength + keyLength)
        const key = yield* keyOf(bytes)
        const secret = yield* crypto.importKey(bytes.slice(idLength))
        const owners = yield* ownersOf(data)
        const sealed = yield* crypto.seal(secret, key, toJson(data))
        const now = yield* Clock.currentTimeMillis
        yield* backend.insert(
          key,
          {
            version: 1,
            sealed,
            owners: owners.session === undefined ? [owners.subject] : [owners.subject, owners.session],
            createdAt: now,
            lastUsedAt: now,
            expiresAt: now + absolute
          },
          Math.min(idle, absolute)
        )
        // Looking after the insertion: a logout before it left a mark, and a logout after it finds the session.
        if (yield* isSignedOut(owners, startedAt ?? now)) {
          yield* backend.remove(key)
          return yield* Effect.fail(new SignedOut())
        }
        return Redacted.make(Base64Url.encode(bytes))
      }),
    read: withCookie(
      Effect.fnUntraced(function* (key, secret) {
        const record = yield* backend.find(key)
        if (record === undefined) return Option.none()
        const { createdAt, expiresAt, version } = record
        const now = yield* Clock.currentTimeMillis
        if (now >= expiresAt || now - record.lastUsedAt >= idle) {
          yield* backend.remove(key)
          return Option.none()
        }
        const json = yield* crypto.open(secret, key, record.sealed)
        if (json === undefined) return Option.none()
        const isDue = now - record.lastUsedAt >= touchInterval
        if (isDue) yield* backend.touch(key, now, Math.min(idle, expiresAt - now))
        const lastUsedAt = isDue ? now : record.lastUsedAt
        const session: Session = { ...fromJson(json), id: key, version, createdAt, lastUsedAt, expiresAt }
        return Option.some(session)
      }),
      Effect.succeedNone
    ),
    replace: (cookie, version, data) =>
      withCookie(
        (key, secret) =>
          Effect.flatMap(crypto.seal(secret, key, toJson(data)), (sealed) => backend.replace(key, version, sealed)),
        Effect.succeed(false)
      )(cookie),
    exists: withCookie(
      (key) =>
        Effect.zipWith(
          backend.find(key),
          Clock.currentTimeMillis,
          (record, now) => record !== undefined && now < record.expiresAt && now - record.lastUsedAt < idle
        ),
      Effect.succeed(false)
    ),
    destroy: (cookie, version) =>
      withCookie(
        (key) =>
          Effect.flatMap(backend.remove(key, version), (isRemoved) =>
            // A session of another version goes on, and its connections, too.
            version === undefined || isRemoved ? endConnections([key]) : Effect.void
          ),
        Effect.void
      )(cookie),
    destroyBy: (owner) =>
      Effect.gen(function* () {
        const { issuer, sessionId, subject } = ownProperties(owner)
        const name = sessionId === undefined ? subject : sessionId
        if (name === undefined) return 0
        const owned = yield* hash.of(issuer, sessionId === undefined ? "sub" : "sid", name)
        // The mark comes first, so that a session that is created meanwhile meets it.
        yield* backend.mark(owned, yield* Clock.currentTimeMillis, markLifetime)
        const keys = yield* backend.removeOwned(owned)
        yield* endConnections(keys)
        return keys.length
      }),
    addOnce: (key, timeToLive) =>
      Effect.flatMap(hash.of("once", key), (digest) => backend.addOnce(digest, Duration.toMillis(timeToLive))),
    withLock: (cookie, effect) => withCookie((key) => backend.withLock(key, effect), effect)(cookie)
  }
}

/** Ends the sockets and streams of sessions in this process. Those of other processes ask the store. */
const endConnections = (keys: ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.sync(() => {
    for (const key of keys) sessionEnds.end(key)
  })

const keyOf = (bytes: Uint8Array): Effect.Effect<string> => hash.digest(Base64Url.encode(bytes.slice(0, idLength)))

interface Owners {
  readonly subject: string
  readonly session: string | undefined
}

const ownersOf = Effect.fnUntraced(function* ({ issuer, sessionId, subject }: SessionData) {
  const owners: Owners = {
    subject: yield* hash.of(issuer, "sub", subject),
    session: sessionId === undefined ? undefined : yield* hash.of(issuer, "sid", sessionId)
  }
  return owners
})
