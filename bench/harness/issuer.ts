/** An issuer on this machine: its metadata and its keys. */
import { generateKeyPairSync, type JsonWebKey, type KeyObject, randomUUID } from "node:crypto"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

export const algorithms = ["RS256", "ES256", "EdDSA"] as const

export type Algorithm = (typeof algorithms)[number]

export const audience = "https://api.example.com"

/** Data to mint tokens in any process. */
export interface Minter {
  readonly issuer: string
  readonly algorithm: Algorithm
  readonly kid: string
  readonly key: JsonWebKey
}

export interface Issuer {
  readonly minter: Minter
  /** Returns the number of introspection requests so far. */
  readonly introspections: () => number
  readonly close: () => void
}

const generate = (algorithm: Algorithm): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
  switch (algorithm) {
    case "RS256":
      return generateKeyPairSync("rsa", { modulusLength: 2048 })
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" })
    case "EdDSA":
      return generateKeyPairSync("ed25519")
  }
}

/** Publishes `keys` keys of the algorithm. The last key signs. */
export const serveIssuer = async (algorithm: Algorithm, keys = 1): Promise<Issuer> => {
  const made = Array.from({ length: keys }, () => ({ kid: randomUUID(), ...generate(algorithm) }))
  const jwks = made.map(({ kid, publicKey }) => ({
    ...publicKey.export({ format: "jwk" }),
    kid,
    alg: algorithm,
    use: "sig"
  }))
  let introspections = 0
  const server = createServer((request, response) => {
    if (request.url === "/introspect") {
      introspections++
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => (body += text))
      request.on("end", () => {
        const payload = new URLSearchParams(body).get("token")?.split(".")[1] ?? ""
        const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object
        response.writeHead(200, { "content-type": "application/json" })
        response.end(JSON.stringify({ ...claims, active: true, token_type: "Bearer" }))
      })
      return
    }
    const document = documents.get(request.url ?? "")
    response.writeHead(document === undefined ? 404 : 200, { "content-type": "application/json" })
    response.end(JSON.stringify(document ?? {}))
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const documents = new Map<string, object>([
    [
      "/.well-known/openid-configuration",
      { issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint: `${issuer}/introspect` }
    ],
    ["/jwks", { keys: jwks }]
  ])
  const { kid, privateKey } = made.at(-1)!
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  return {
    minter: { issuer, algorithm, kid, key: privateKey.export({ format: "jwk" }) },
    introspections: () => introspections,
    close
  }
}
