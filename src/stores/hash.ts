/** Hashes what identifies an entry of a store, so that no store, log or error contains a token or a name. */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Effect from "effect/Effect"

const encoder = new TextEncoder()

/**
 * Returns the SHA-256 digest of the parts, in base64url. The parts are encoded as JSON, because joined parts could have
 * the text of other parts.
 */
export const of = (...parts: ReadonlyArray<string>): Effect.Effect<string> => digest(JSON.stringify(parts))

/** Returns the SHA-256 digest of a text, in base64url. */
export const digest = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", encoder.encode(text))),
    (digest) => Base64Url.encode(new Uint8Array(digest))
  )
