// A network in memory: documents by URL, and the requests that arrived.
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"

export interface Received {
  readonly method: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

export type Answer = Response | object | ((request: Received) => Response | object)

/** Answers by URL. Everything else is 404. */
export const network = (answers: Readonly<Record<string, Answer>>) => {
  const received: Array<Received> = []
  const layer = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request, url) =>
      Effect.sync(() => {
        const { body, headers, method } = request
        const text = body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : ""
        const arrived = { method, url, headers, body: text }
        received.push(arrived)
        const answer = answers[url.origin + url.pathname] ?? new Response("", { status: 404 })
        const made = typeof answer === "function" ? answer(arrived) : answer
        const response = made instanceof Response ? made.clone() : Response.json(made)
        return HttpClientResponse.fromWeb(request, response)
      })
    )
  )
  return { layer, received, paths: () => received.map(({ method, url }) => `${method} ${url.origin}${url.pathname}`) }
}

export const challenge = (value: string, status = 401) =>
  new Response("", { status, headers: { "www-authenticate": value } })

export const api = "https://api.example.com"
export const resource = `${api}/mcp`
export const idp = "https://idp.example.com"
export const atPath = `${api}/.well-known/oauth-protected-resource/mcp`
export const atOrigin = `${api}/.well-known/oauth-protected-resource`
export const atIssuer = `${idp}/.well-known/oauth-authorization-server`

export const serverMetadata = {
  issuer: idp,
  authorization_endpoint: `${idp}/authorize`,
  token_endpoint: `${idp}/token`,
  registration_endpoint: `${idp}/register`,
  code_challenge_methods_supported: ["S256"]
}

export const resourceMetadata = { resource, authorization_servers: [idp], scopes_supported: ["read", "write"] }
