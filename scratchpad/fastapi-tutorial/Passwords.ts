/** Hashes passwords with scrypt (RFC 7914). A hash is `salt:key` in hexadecimal. */
import { Effect } from "effect"
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto"

const keyLength = 32

const derive = (password: string, salt: Buffer) =>
  Effect.callback<Buffer>((resume) => {
    scrypt(password, salt, keyLength, (error, key) => resume(error === null ? Effect.succeed(key) : Effect.die(error)))
  })

export const hash = Effect.fnUntraced(function* (password: string) {
  const salt = randomBytes(16)
  return `${salt.toString("hex")}:${(yield* derive(password, salt)).toString("hex")}`
})

export const verify = Effect.fnUntraced(function* (password: string, hash: string) {
  const [salt = "", key = ""] = hash.split(":")
  const expected = Buffer.from(key, "hex")
  const found = yield* derive(password, Buffer.from(salt, "hex"))
  // Compares in constant time, so that the time of a response tells nothing about the key.
  return found.length === expected.length && timingSafeEqual(found, expected)
})
