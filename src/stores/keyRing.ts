/** Encrypts JSON with the first of several secrets, and decrypts it with any. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as crypto from "./seal.ts"

export interface KeyRing {
  /** Encrypts JSON. Only `open` with the same name reads it. */
  readonly seal: (name: string, value: unknown) => Effect.Effect<string>
  /** Returns `undefined` if none of the keys encrypted the text under this name. */
  readonly open: (name: string, sealed: string) => Effect.Effect<unknown>
}

export type Secrets = Redacted.Redacted | readonly [Redacted.Redacted, ...ReadonlyArray<Redacted.Redacted>]

const encoder = new TextEncoder()

/** `purpose` separates the keys that different parts of the library derive from one secret. */
export const make = Effect.fnUntraced(function* (
  option: string,
  given: Secrets,
  purpose: string
): Effect.fn.Return<KeyRing, ConfigurationError> {
  const secrets: ReadonlyArray<unknown> = Array.isArray(given) ? given : [given]
  const texts = secrets.map((secret) => (Redacted.isRedacted(secret) ? Redacted.value(secret) : undefined))
  const valid = texts.filter((text) => typeof text === "string").filter((text) => encoder.encode(text).length >= 32)
  if (valid.length === 0 || valid.length < texts.length) {
    return yield* refuseOption(
      option,
      "must be a Redacted text of at least 32 bytes, such as the output of openssl rand -base64 32, or a list of them"
    )
  }
  const keys = yield* Effect.forEach(valid, (text) =>
    Effect.promise(async () => {
      const secret = await globalThis.crypto.subtle.importKey("raw", encoder.encode(text), "HKDF", false, ["deriveKey"])
      const parameters = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(purpose) }
      const aes = { name: "AES-GCM", length: 256 }
      return globalThis.crypto.subtle.deriveKey(parameters, secret, aes, false, ["encrypt", "decrypt"])
    })
  )
  const [first] = keys as unknown as readonly [CryptoKey]
  const ring: KeyRing = {
    seal: (name, value) => crypto.seal(first, name, value),
    open: Effect.fnUntraced(function* (name, sealed) {
      for (const key of keys) {
        const value = yield* crypto.open(key, name, sealed)
        if (value !== undefined) return value
      }
      return undefined
    })
  }
  return ring
})
