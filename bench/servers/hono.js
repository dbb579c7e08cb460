// Hono with its `jwk` middleware. With `jwks_uri`, it would fetch the keys for each request, so it receives the keys.
import { serve } from "@hono/node-server"
import { Hono } from "hono"
import { createMiddleware } from "hono/factory"
import { HTTPException } from "hono/http-exception"
import { jwk } from "hono/jwk"
import { fetchKeys, listening, open, settings } from "./child.ts"

const { algorithm, audience, issuer, scopes } = settings

const { keys } = await fetchKeys()

const authenticate = jwk({ keys, alg: [algorithm], verification: { iss: issuer, aud: audience, typ: "at+jwt" } })

const authorize = createMiddleware(async (c, next) => {
  const granted = String(c.get("jwtPayload").scope).split(" ")
  if (!scopes.every((scope) => granted.includes(scope))) throw new HTTPException(403)
  await next()
})

const app = new Hono()

app.get("/open", (c) => c.json(open))
app.get("/items", authenticate, authorize, (c) => c.json({ subject: c.get("jwtPayload").sub }))

serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) => listening(port))
