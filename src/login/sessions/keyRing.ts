/** Seals text with a ring of keys: the first key seals, and every key opens. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { refuseOption } from "../../core/refuseOption.ts"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import * as crypto from "./seal.ts"

const encoder = new TextEncoder()

const minLength = 32

/** Derives a key by HKDF (RFC 5869), so that one secret may have several purposes. */
const derive = (secret: string, purpose: string): Effect.Effect<CryptoKey> =>
  Effect.promise(async () => {
    const material = await globalThis.crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, [
      "deriveKey"
    ])
    return globalThis.crypto.subtle.deriveKey(
      { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: encoder.encode(purpose) },
      material,
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"]
    )
  })

export interface KeyRing {
  readonly seal: (name: string, value: unknown) => Effect.Effect<string>
  /** Returns `undefined` if no key of the ring sealed the text under this name. */
  readonly open: (name: string, sealed: string) => Effect.Effect<unknown>
}

export const make = Effect.fnUntraced(function* (
  secrets: ReadonlyArray<Redacted.Redacted>,
  purpose: string
): Effect.fn.Return<KeyRing, ConfigurationError> {
  const texts: ReadonlyArray<unknown> = Array.isArray(secrets)
    ? secrets.map((secret: unknown) => (Redacted.isRedacted(secret) ? Redacted.value(secret) : undefined))
    : []
  const valid = texts.filter((text) => typeof text === "string" && text.length >= minLength) as ReadonlyArray<string>
  if (valid.length === 0 || valid.length !== texts.length) {
    return yield* refuseOption(
      "keys",
      `must be one or more redacted texts of at least ${minLength} characters, such as the output of openssl rand -base64 32`
    )
  }
  const keys = yield* Effect.forEach(valid, (secret) => derive(secret, purpose))
  const [first] = keys
  return {
    seal: (name, value) => (first === undefined ? Effect.die("unreachable") : crypto.seal(first, name, value)),
    open: (name, sealed) =>
      keys.reduce<Effect.Effect<unknown>>(
        (found, key) =>
          Effect.flatMap(found, (value) =>
            value === undefined ? crypto.open(key, name, sealed) : Effect.succeed(value)
          ),
        Effect.undefined
      )
  }
})
