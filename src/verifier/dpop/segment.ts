/** Decodes the segments of a proof. The decoder of Node takes 0.3 µs for the claims, and that of jose 1.2 µs. */
import * as base64url from "jose/base64url"
import { isNode, nodeModules } from "../jwt/nodeSignatures.ts"

/** Returns the text of canonical base64url, or `undefined` if its bytes are not UTF-8. */
export type TextOf = (segment: string) => string | undefined

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Decodes with the code of jose, which runs on every platform. */
export const web: TextOf = (segment) => {
  try {
    return utf8.decode(base64url.decode(segment))
  } catch {
    return
  }
}

export const make = (): TextOf => {
  const node = isNode() ? nodeModules() : undefined
  if (node === undefined) return web
  const { Buffer, isUtf8 } = node.buffer
  return (segment) => {
    const bytes = Buffer.from(segment, "base64url")
    return isUtf8(bytes) ? bytes.toString("utf8") : undefined
  }
}
