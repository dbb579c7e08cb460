// Express with express-oauth2-jwt-bearer, which finds the issuer's keys by discovery.
import express from "express"
import { auth, requiredScopes } from "express-oauth2-jwt-bearer"
import { listening, open, settings } from "./child.ts"

const { algorithm, audience, issuer, scopes } = settings

const app = express()

app.get("/open", (_, response) => {
  response.json(open)
})

app.get(
  "/items",
  auth({ issuerBaseURL: issuer, audience, tokenSigningAlg: algorithm, strict: true }),
  requiredScopes([...scopes]),
  (request, response) => {
    response.json({ subject: request.auth.payload.sub })
  }
)

// Sends the status and headers of the middleware's error. The default handler of Express would also print the error.
app.use((error, _request, response, _next) => {
  response
    .status(error.status ?? 500)
    .set(error.headers ?? {})
    .json({ error: error.message })
})

const server = app.listen(0, "127.0.0.1", () => listening(server.address().port))
