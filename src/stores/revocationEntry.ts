/** Defines what a list of revocations contains, and what it says about a token. */
import type * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../core/AccessToken.ts"
import { own } from "../core/lib/ownProperties.ts"
import * as hash from "./hash.ts"
import type { StoreUnavailable } from "./storeUnavailable.ts"

/**
 * What to revoke. Each revocation ends when the revoked tokens have expired.
 *
 * | target | refuses |
 * |---|---|
 * | `token`, `expiresAt` | one token, opaque or JWT |
 * | `issuer`, `tokenId`, `expiresAt` | the JWT with this `jti` |
 * | `issuer`, `subject` | every token of this `sub` whose `iat` is not after `issuedBefore`, and tokens without `iat` |
 * | `issuer`, `sessionId` | every token with this `sid` |
 *
 * The default of `issuedBefore` is now. `iat` has whole seconds, so a new token of the same second is refused, too.
 *
 * @category models
 * @since 0.1.0
 */
export type Target =
  | { readonly token: Redacted.Redacted; readonly expiresAt: DateTime.Utc }
  | { readonly issuer: string; readonly tokenId: string; readonly expiresAt: DateTime.Utc }
  | {
      readonly issuer: string
      readonly subject: string
      /** Revokes the tokens that were not issued after this time. Default: now. */
      readonly issuedBefore?: DateTime.Utc
    }
  | { readonly issuer: string; readonly sessionId: string }

/** Service that remembers revocations. `Revocations` is its key. */
export interface RevocationsService {
  /** Returns `true` if a verified token is revoked. */
  readonly isRevoked: (token: VerifiedToken, credential: Redacted.Redacted) => Effect.Effect<boolean, StoreUnavailable>
  /** Revokes tokens. If the effect fails, the tokens may be revoked in some processes. Revoke them again. */
  readonly revoke: (target: Target) => Effect.Effect<void, StoreUnavailable>
}

export const revoked = "revoked"

/** An entry of the list. `id` is a kind and a digest. Times are in milliseconds since the epoch. */
export interface Entry {
  readonly id: string
  /**
   * - `revoked`
   * - for a subject, the latest time of issue that is revoked
   * - for a token, the mark of its last invalidation: the time, and a random text
   */
  readonly value: string
  readonly expires: number
}

/** Returns the value that replaces another value of an entry. */
export const merged = (id: string, current: string | undefined, value: string): string => {
  if (current === undefined || current === value) return value
  if (current === revoked || value === revoked) return revoked
  return isSubject(id) && Number(current) > Number(value) ? current : value
}

const isSubject = (id: string): boolean => id.startsWith("sub.")

export const isEntry = (id: unknown, value: unknown, expires: unknown): boolean =>
  /^(?:tok|jti|sub|sid)\.[\w-]{43}$/.test(String(id)) &&
  /^(?:revoked|\d{1,16}(?:\.[\w-]{1,64})?)$/.test(String(value)) &&
  Number.isSafeInteger(expires)

/** The ids of the entries that concern a token. */
export interface Identity {
  readonly tok: string
  readonly jti: string | undefined
  readonly sub: string
  readonly sid: string | undefined
  /** `undefined` if the token does not say when it was issued. */
  readonly issuedAt: number | undefined
  readonly expires: number
  /** The last number of the local list when the verification of the token began. */
  readonly since: number
  /** The mark of the last invalidation before the verification, if each request looks it up. */
  mark: string | undefined
  /** The last number of the local list at which the token was valid. */
  checkedAt: number
}

const idOf = (kind: string, ...parts: ReadonlyArray<string>) =>
  Effect.map(hash.of(kind, ...parts), (hash) => `${kind}.${hash}`)

export const tokenIdOf = (text: string): Effect.Effect<string> => idOf("tok", text)

/** Reads the ids of a verified token. */
export const identify = (token: VerifiedToken, text: string, since: number): Effect.Effect<Identity> => {
  const { issuer, subject, tokenId } = token
  const sid = own(token.claims, "sid")
  return Effect.map(
    Effect.all(
      [
        tokenIdOf(text),
        idOf("sub", issuer, subject),
        Option.isSome(tokenId) ? idOf("jti", issuer, tokenId.value) : Effect.undefined,
        typeof sid === "string" ? idOf("sid", issuer, sid) : Effect.undefined
      ],
      { concurrency: "unbounded" }
    ),
    ([tok, sub, jti, sid]) => ({
      tok,
      sub,
      jti,
      sid,
      issuedAt: Option.isSome(token.issuedAt) ? token.issuedAt.value.epochMilliseconds : undefined,
      expires: token.expiresAt.epochMilliseconds,
      since,
      mark: undefined,
      checkedAt: -1
    })
  )
}

export const idsOf = ({ jti, sid, sub, tok }: Identity): ReadonlyArray<string> =>
  [tok, sub, jti, sid].filter((id) => id !== undefined)

/** Returns `true` if the value of an entry revokes the token. */
export const revokes = (id: string, value: string, { issuedAt }: Identity): boolean =>
  value === revoked || (isSubject(id) && (issuedAt === undefined || issuedAt <= Number(value)))

/** A verifier accepts an expired token for at most this long (`clockTolerance`), in milliseconds. */
const leeway = 60_000

/** Returns the entry of a revocation. `maxTokenLifetime` is in milliseconds. */
export const entryOf = (target: Target, maxTokenLifetime: number): Effect.Effect<Entry> =>
  Effect.clockWith((clock) => {
    const now = clock.currentTimeMillisUnsafe()
    const made = (id: Effect.Effect<string>, value: string, expires: number): Effect.Effect<Entry> =>
      Effect.map(id, (id) => ({ id, value, expires: Math.ceil(expires + leeway) }))
    if ("token" in target) {
      return made(tokenIdOf(Redacted.value(target.token)), revoked, target.expiresAt.epochMilliseconds)
    }
    if ("tokenId" in target) {
      return made(idOf("jti", target.issuer, target.tokenId), revoked, target.expiresAt.epochMilliseconds)
    }
    if ("sessionId" in target) {
      return made(idOf("sid", target.issuer, target.sessionId), revoked, now + maxTokenLifetime)
    }
    const before = Math.max(0, Math.ceil(target.issuedBefore?.epochMilliseconds ?? now))
    return made(idOf("sub", target.issuer, target.subject), String(before), Math.max(now, before) + maxTokenLifetime)
  })

/** Longest time for which a verifier caches a token, in milliseconds. */
const maxTimeInCache = 24 * 3_600_000

/** Returns the entry that makes every process verify a token again. */
export const invalidationOf = (text: string): Effect.Effect<Entry> =>
  Effect.clockWith((clock) => {
    const now = clock.currentTimeMillisUnsafe()
    return Effect.map(tokenIdOf(text), (id) => ({
      id,
      value: `${now}.${crypto.randomUUID()}`,
      expires: now + maxTimeInCache
    }))
  })
