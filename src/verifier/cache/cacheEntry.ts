/** Makes the cache entries of verified tokens. */
import type * as Clock from "effect/Clock"
import type * as Exit from "effect/Exit"
import type * as Redacted from "effect/Redacted"
import type { VerifiedToken } from "../../core/AccessToken.ts"
import { isToken, redact } from "../../core/authorizationHeader.ts"
import { frozenSuccess } from "../../core/lib/exit.ts"
import type { CacheSettings } from "./cacheSettings.ts"
import type { Lifetime, TokenCache } from "./tokenCache.ts"
import type { Validity, Verified } from "./verified.ts"

/** The size of an entry without its token, in bytes. */
const entryOverhead = 1024

export interface CachedToken extends Lifetime {
  readonly text: string
  readonly token: Redacted.Redacted
  readonly verified: Exit.Success<VerifiedToken>
  readonly validity: Validity
}

/** Returns a function that adds verified tokens to the cache, unless they have expired or are not admitted. */
export const addTo =
  (cache: TokenCache<CachedToken>, { timeToLive }: CacheSettings) =>
  (text: string, { bytes, token, validUntil, validity }: Verified, clock: Clock.Clock): VerifiedToken => {
    const validFrom = clock.currentTimeMillisUnsafe()
    const expires = Math.min(validUntil, validFrom + timeToLive)
    if (expires > validFrom) {
      cache.set(text, validFrom, () => {
        // Every cached text has the form of a token, so a lookup need not check the form.
        if (!isToken(text)) return
        return {
          value: {
            text,
            token: redact(text),
            verified: frozenSuccess(token),
            validFrom,
            validUntil: expires,
            validity
          },
          bytes: entryOverhead + text.length + bytes
        }
      })
    }
    return token
  }
