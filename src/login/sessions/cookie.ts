/** Keeps each session in its cookie, encrypted. The server stores nothing, so it cannot end a session. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { SessionBackend } from "./backend.ts"
import type { KeyRing } from "../../stores/keyRing.ts"
import type { Session, SessionData } from "./model.ts"
import * as hash from "../../stores/hash.ts"
import { fromJson, toJson } from "./serialized.ts"
import type { SessionStore } from "./store.ts"

/** A text that was sealed for another purpose does not open as a session. */
const name = "session"

/** Browsers accept 4096 bytes for name, value and attributes. The name and the attributes take the rest. */
export const maxLength = 3900

const tooLarge = (length: number): Error =>
  new Error(
    `A session does not fit into a cookie. It needs ${length} characters, and a browser keeps at most ${maxLength}. Keep fewer claims in the session, or use Sessions.layerRedis or Sessions.layerSql.`
  )

interface Content {
  readonly data: unknown
  readonly createdAt: number
  readonly expiresAt: number
}

const read = Effect.fnUntraced(function* (open: KeyRing["open"], cookie: Redacted.Redacted) {
  const value = Redacted.value(cookie)
  if (value.length > maxLength) return Option.none()
  // Safe cast: only `create` seals text under this name.
  const content = (yield* open(name, value)) as Content | undefined
  const now = yield* Clock.currentTimeMillis
  if (content === undefined || now >= content.expiresAt) return Option.none()
  const { createdAt, data, expiresAt } = content
  const session: Session = {
    ...fromJson(data),
    id: yield* hash.digest(value),
    version: 1,
    createdAt,
    lastUsedAt: now,
    expiresAt
  }
  return Option.some(session)
})

export const make = (
  { open, seal }: KeyRing,
  absolute: number,
  { addOnce, withLock }: Pick<SessionBackend, "addOnce" | "withLock">
): SessionStore => ({
  isServerSide: false,
  create: Effect.fnUntraced(function* (data: SessionData) {
    const createdAt = yield* Clock.currentTimeMillis
    const content: Content = { data: toJson(data), createdAt, expiresAt: createdAt + absolute }
    const sealed = yield* seal(name, content)
    return sealed.length <= maxLength ? Redacted.make(sealed) : yield* Effect.die(tooLarge(sealed.length))
  }),
  read: (cookie) => read(open, cookie),
  exists: (cookie) => Effect.map(read(open, cookie), Option.isSome),
  replace: () => Effect.succeed(false),
  destroy: () => Effect.void,
  destroyBy: () => Effect.succeed(0),
  addOnce: (key, timeToLive) =>
    Effect.flatMap(hash.of("once", key), (digest) => addOnce(digest, Duration.toMillis(timeToLive))),
  withLock: (cookie, effect) => Effect.flatMap(hash.digest(Redacted.value(cookie)), (key) => withLock(key, effect))
})
