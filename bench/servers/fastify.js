// Fastify with @fastify/jwt, as its README shows for a public key. A hook checks the scope.
import jwt from "@fastify/jwt"
import Fastify from "fastify"
import { createPublicKey } from "node:crypto"
import { fetchKeys, listening, open, settings } from "./child.ts"

const { algorithm, audience, cache, issuer, scopes } = settings

const { keys } = await fetchKeys()
const key = createPublicKey({ key: keys[0], format: "jwk" })

const fastify = Fastify()

await fastify.register(jwt, {
  secret: { public: key.export({ format: "pem", type: "spki" }) },
  verify: {
    algorithms: [algorithm],
    allowedIss: issuer,
    allowedAud: audience,
    checkTyp: "at+jwt",
    requiredClaims: ["iss", "aud", "exp", "sub"],
    ...(cache ? { cache: true } : {})
  }
})

const authenticate = async (request) => {
  await request.jwtVerify()
}

const authorize = async (request, reply) => {
  const granted = String(request.user.scope).split(" ")
  if (!scopes.every((scope) => granted.includes(scope))) return reply.code(403).send({ error: "forbidden" })
}

fastify.get("/open", () => open)
fastify.get("/items", { onRequest: [authenticate, authorize] }, (request) => ({ subject: request.user.sub }))

await fastify.listen({ port: 0, host: "127.0.0.1" })
listening(fastify.server.address().port)
