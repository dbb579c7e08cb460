/** The issuer: its metadata, its keys, and the introspection of opaque tokens, with faults. */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { answerMessages } from "../../bench/answers.ts"
import { audience, type Signer } from "./keys.ts"

/** Wrong behavior of an endpoint. */
export const faults = [
  "reset",
  "status 500",
  "status 401",
  "status 429",
  "HTML",
  "half of the JSON",
  "empty",
  "slow",
  "silent"
] as const

export type Fault = (typeof faults)[number] | "none"

export interface IssuerSettings {
  /** `0` selects a free port. */
  readonly port: number
  readonly signers: ReadonlyArray<Signer>
}

export type IssuerMessage =
  { readonly signers: ReadonlyArray<Signer> } | { readonly keysFault: Fault } | { readonly introspectionFault: Fault }

const settings = JSON.parse(process.env["SOAK_ISSUER"] ?? "{}") as IssuerSettings

let signers = settings.signers
let keysFault: Fault = "none"
let introspectionFault: Fault = "none"

const slow = 2000

const send = (response: ServerResponse, fault: Fault, body: string): void => {
  const json = { "content-type": "application/json" }
  switch (fault) {
    case "none":
      response.writeHead(200, json).end(body)
      return
    case "reset":
      response.destroy()
      return
    case "status 500":
      response.writeHead(500, json).end(body)
      return
    case "status 401":
      response.writeHead(401, json).end('{"error":"invalid_client"}')
      return
    case "status 429":
      response.writeHead(429, { ...json, "retry-after": "1" }).end("{}")
      return
    case "HTML":
      response.writeHead(200, { "content-type": "text/html" }).end("<html></html>")
      return
    case "half of the JSON":
      response.writeHead(200, json).end(body.slice(0, body.length / 2))
      return
    case "empty":
      response.writeHead(200, json).end()
      return
    case "slow":
      setTimeout(() => response.writeHead(200, json).end(body), slow)
      return
    case "silent":
  }
}

/** Tokens name their subject: `good.<subject>` is active, and every other token is not. */
const introspect = (token: string): object => {
  const [state, subject] = token.split(".")
  return state === "good"
    ? {
        active: true,
        sub: subject,
        aud: audience,
        client_id: "soak",
        scope: "items:read",
        token_type: "Bearer",
        exp: Math.floor(Date.now() / 1000) + 12 * 3600
      }
    : { active: false }
}

const server = createServer((request, response) => {
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let body = ""
  request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
  request.on("end", () => {
    switch (request.url) {
      case "/.well-known/openid-configuration":
        return send(
          response,
          keysFault,
          JSON.stringify({ issuer, jwks_uri: `${issuer}/jwks`, introspection_endpoint: `${issuer}/introspect` })
        )
      case "/jwks": {
        const keys = signers.map(({ kid, publicKey }) => ({ ...publicKey, kid, alg: "EdDSA", use: "sig" }))
        return send(response, keysFault, JSON.stringify({ keys }))
      }
      case "/introspect": {
        const token = new URLSearchParams(body).get("token") ?? ""
        return send(response, introspectionFault, JSON.stringify(introspect(token)))
      }
      default:
        response.writeHead(404).end()
    }
  })
})

server.listen(settings.port, "127.0.0.1", () =>
  answerMessages((server.address() as AddressInfo).port, (message: IssuerMessage) => {
    if ("signers" in message) signers = message.signers
    else if ("keysFault" in message) keysFault = message.keysFault
    else introspectionFault = message.introspectionFault
  })
)
