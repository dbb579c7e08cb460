/** Hashes short texts. On Node, the hash is available now: WebCrypto would cost each request a turn in the thread pool. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as base64url from "jose/base64url"
import { isNode, nodeModules } from "../jwt/nodeSignatures.ts"

/** Returns the SHA-256 hash of bytes, or of a text in UTF-8, in base64url. */
export type Sha256 = (input: string | Uint8Array<ArrayBuffer>) => Effect.Effect<string>

const utf8 = new TextEncoder()

/** Hashes with WebCrypto, which every platform has. */
export const web: Sha256 = (input) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", typeof input === "string" ? utf8.encode(input) : input)),
    (hash) => base64url.encode(new Uint8Array(hash))
  )

export const make = (): Sha256 => {
  const node = isNode() ? nodeModules() : undefined
  return node === undefined ? web : (input) => Exit.succeed(node.crypto.hash("sha256", input, "base64url"))
}
