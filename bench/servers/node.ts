/** Serves the routes with plain `node:http` and a given verifier. */
import type { JWTPayload } from "jose"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { listening, open, settings } from "./child.ts"

const json = (response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}) => {
  const text = JSON.stringify(body)
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
    ...headers
  })
  response.end(text)
}

const unauthorized = (response: ServerResponse) =>
  json(response, 401, { error: "unauthorized" }, { "www-authenticate": "Bearer" })

const hasScopes = ({ scope }: JWTPayload): boolean => {
  const granted = typeof scope === "string" ? scope.split(" ") : []
  return settings.scopes.every((scope) => granted.includes(scope))
}

const respond = (response: ServerResponse, claims: JWTPayload) =>
  hasScopes(claims) ? json(response, 200, { subject: claims.sub }) : json(response, 403, { error: "forbidden" })

/** Starts the server. `verify` may return claims or a promise. */
export const serveNode = (verify: (token: string) => JWTPayload | Promise<JWTPayload>): void => {
  const server = createServer((request, response) => {
    if (request.url === "/open") return json(response, 200, open)
    if (request.url !== "/items") return json(response, 404, {})
    const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers.authorization ?? "")?.[1]
    if (token === undefined) return unauthorized(response)
    const claims = verify(token)
    if (!(claims instanceof Promise)) return respond(response, claims)
    claims.then(
      (claims) => respond(response, claims),
      () => unauthorized(response)
    )
  })
  server.listen(0, "127.0.0.1", () => listening((server.address() as AddressInfo).port))
}
