/** Hashes short texts. On Node, the hash is available now: WebCrypto would cost each request a turn in the thread pool. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as base64url from "jose/base64url"
import { isNode, nodeModules } from "../jwt/nodeSignatures.ts"

/** Returns the SHA-256 hash of a text in UTF-8, in base64url. */
export type Sha256 = (text: string) => Effect.Effect<string>

const utf8 = new TextEncoder()

/** Hashes with WebCrypto, which every platform has. */
export const web: Sha256 = (text) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", utf8.encode(text))),
    (hash) => base64url.encode(new Uint8Array(hash))
  )

export const make = (): Sha256 => {
  const node = isNode() ? nodeModules() : undefined
  return node === undefined ? web : (text) => Exit.succeed(node.crypto.hash("sha256", text, "base64url"))
}
