/** `node:http` and a map of verified tokens: the limit. */
import type { JWTPayload } from "jose"
import { verify } from "./jose.ts"
import { serveNode } from "./node.ts"

const size = 10_000
const verified = new Map<string, JWTPayload>()

serveNode((token) => {
  const known = verified.get(token)
  if (known !== undefined && known.exp! * 1000 > Date.now()) return known
  return verify(token).then((claims) => {
    if (verified.size >= size) verified.delete(verified.keys().next().value!)
    verified.set(token, claims)
    return claims
  })
})
