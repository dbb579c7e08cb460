/** Makes the cache entries of verified tokens. */
import type * as Clock from "effect/Clock"
import type * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { isToken, redact } from "../../core/authorizationHeader.ts"
import { frozenSuccess } from "../../core/lib/exit.ts"
import type { CacheSettings } from "./cacheSettings.ts"
import type { Entry, TokenCache } from "./tokenCache.ts"
import type { Validity, Verified } from "./verified.ts"

/** The size of an entry without its token, in bytes. */
const perEntry = 1024

export interface KeptToken extends Entry {
  readonly text: string
  readonly token: Redacted.Redacted
  readonly verified: Exit.Success<VerifiedToken>
  readonly standing: Validity
}

/** Adds a verified token to the cache, if it has not expired and there is room. */
export const keepIn =
  (cache: TokenCache<KeptToken>, { timeToLive }: CacheSettings) =>
  (text: string, { bytes, standing, token, until }: Verified, clock: Clock.Clock): VerifiedToken => {
    const from = clock.currentTimeMillisUnsafe()
    const ends = Math.min(until, from + timeToLive)
    if (ends > from) {
      cache.set(text, from, () => {
        // All cached texts are tokens by their form, so a lookup need not check the form.
        if (!isToken(text)) return
        return {
          entry: { text, token: redact(text), verified: frozenSuccess(token), from, until: ends, standing },
          bytes: perEntry + text.length + bytes
        }
      })
    }
    return token
  }
