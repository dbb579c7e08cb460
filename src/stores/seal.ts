/** Encrypts what leaves the process, by Web Crypto. */
import * as Base64Url from "effect/encoding/Base64Url"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true })
const ivLength = 12

export const randomBytes = (length: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(length))

/** Returns 256 random bits in base64url. */
export const randomText = (): string => Base64Url.encode(randomBytes(32))

/** Decodes base64url. Returns `undefined` if the text has another form. */
export const decode = (text: string): Uint8Array<ArrayBuffer> | undefined =>
  Result.getOrUndefined(Base64Url.decode(text)) as Uint8Array<ArrayBuffer> | undefined

export const importKey = (bytes: Uint8Array<ArrayBuffer>): Effect.Effect<CryptoKey> =>
  Effect.promise(() => crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]))

/** Encrypts JSON by AES-GCM. Only `open` with the same key and the same `name` reads it. */
export const seal = (key: CryptoKey, name: string, value: unknown): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(async () => {
      const iv = randomBytes(ivLength)
      const parameters = { name: "AES-GCM", iv, additionalData: encoder.encode(name) }
      const text = await crypto.subtle.encrypt(parameters, key, encoder.encode(JSON.stringify(value)))
      return { iv, text: new Uint8Array(text) }
    }),
    ({ iv, text }) => {
      const bytes = new Uint8Array(iv.length + text.length)
      bytes.set(iv)
      bytes.set(text, iv.length)
      return Base64Url.encode(bytes)
    }
  )

/** Decrypts JSON. Returns `undefined` if the text was not sealed with this key and name. */
export const open = (key: CryptoKey, name: string, sealed: string): Effect.Effect<unknown> =>
  Effect.promise(async () => {
    const bytes = decode(sealed)
    if (bytes === undefined || bytes.length <= ivLength) return
    try {
      const parameters = {
        name: "AES-GCM",
        iv: bytes.subarray(0, ivLength),
        additionalData: encoder.encode(name)
      }
      return JSON.parse(
        decoder.decode(await crypto.subtle.decrypt(parameters, key, bytes.subarray(ivLength)))
      ) as unknown
    } catch {
      return
    }
  })
