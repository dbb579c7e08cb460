/** Binds MCP sessions to the user who began them, and refuses batches whose calls cannot be decided together. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpEffect from "effect/http/HttpEffect"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import { AccessToken, type VerifiedToken } from "../core/AccessToken.ts"
import type { Handler } from "../guard/decision/decide.ts"

const header = "mcp-session-id"

/** Identifies a user. A subject is unique only for its issuer (RFC 9068 §2.2). */
const userOf = ({ issuer, subject }: VerifiedToken): string => JSON.stringify([issuer, subject])

// The response is that to an unknown session, so it does not reveal which sessions exist.
const notFound = HttpServerResponse.empty({ status: 404 })

const severalCalls = HttpServerResponse.jsonUnsafe(
  {
    jsonrpc: "2.0",
    id: null,
    error: { code: -32600, message: "A batch must not contain several calls. Send each call in its own request." }
  },
  { status: 400 }
)

const calls = new Set(["tools/call", "resources/read", "prompts/get", "completion/complete"])

const isCall = (message: unknown): boolean =>
  typeof message === "object" && message !== null && calls.has(String(Reflect.get(message, "method")))

/** Returns `true` if a body is a batch with several calls. */
const hasSeveralCalls = (body: string): boolean => {
  if (!/^\s*\[/.test(body)) return false
  try {
    const messages: unknown = JSON.parse(body)
    return Array.isArray(messages) && messages.filter(isCall).length > 1
  } catch {
    // The server responds to a body that is not JSON.
    return false
  }
}

/** Returns the function that guards the handler of an endpoint. It must run inside the requirement of the endpoint. */
export const make = (): ((handler: Handler) => Handler) => {
  // Holds as many entries as the server has sessions. A session that is missing here is refused.
  const owners = new Map<string, string>()

  const run = (handler: Handler, request: HttpServerRequest, user: string): Handler => {
    const session = request.headers[header]
    if (session !== undefined && owners.get(session) !== user) return Effect.succeed(notFound)
    return Effect.map(handler, (response) => {
      if (request.method === "DELETE" && session !== undefined) {
        if (HttpServerResponse.isHttpServerResponse(response) && response.status === 204) owners.delete(session)
      }
      return response
    })
  }

  /** Records the owner of a session that the response begins. */
  const record =
    (user: string): HttpEffect.PreResponseHandler =>
    (_, response) => {
      const session = response.headers[header]
      if (session !== undefined && !owners.has(session)) owners.set(session, user)
      return Effect.succeed(response)
    }

  return (handler) =>
    Effect.withFiber(({ context }) => {
      const request = Context.getUnsafe(context, HttpServerRequest)
      const token = Context.getUnsafe(context, AccessToken)
      const user = userOf(token)
      const guarded = Effect.tap(run(handler, request, user), () =>
        // The server sets the header in a handler that was added earlier, so this handler runs after it.
        Effect.sync(() => HttpEffect.appendPreResponseHandlerUnsafe(context, record(user)))
      )
      if (request.method !== "POST") return guarded
      // The request caches its body, and the server handles the error of an unreadable body.
      return Effect.flatMap(
        Effect.orElseSucceed(request.text, () => ""),
        (body) => (hasSeveralCalls(body) ? Effect.succeed(severalCalls) : guarded)
      )
    })
}
