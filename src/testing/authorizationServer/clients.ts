/** Authenticates clients at the token endpoint and its relatives (RFC 6749 §2.3, RFC 7523 §2.2). */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Jose from "jose"
import { type Refusal, refuse } from "./answer.ts"
import type { TestClient } from "./model.ts"
import type { Parameters } from "./parameters.ts"

/** The clients of an issuer. Without registered clients, every client exists and every credential is right. */
export interface Clients {
  readonly registered: ReadonlyMap<string, TestClient> | undefined
  /** Audiences that a client assertion may name. */
  readonly audiences: ReadonlyArray<string>
  /** The `jti` of the assertions that were used. */
  readonly usedAssertions: Set<string>
}

type Credential =
  | { readonly kind: "secret"; readonly clientId: string; readonly secret: string }
  | { readonly kind: "assertion"; readonly clientId: string; readonly assertion: string }
  | { readonly kind: "none"; readonly clientId: string }

/** Returns the client that a request names, without authenticating it. The authorization endpoint has no credentials. */
export const find = (clients: Clients, clientId: string | undefined): TestClient | undefined =>
  clientId === undefined
    ? undefined
    : clients.registered === undefined
      ? { clientId }
      : clients.registered.get(clientId)

/** Returns the authenticated client of a request. */
export const authenticate = Effect.fnUntraced(function* (
  clients: Clients,
  request: HttpServerRequest,
  parameters: Parameters
) {
  const usesBasic = request.headers["authorization"] !== undefined
  const fail = refuse("invalid_client", "The client authentication failed.", {
    status: 401,
    headers: usesBasic ? { "www-authenticate": 'Basic realm="issuer"' } : {}
  })
  const credential = yield* read(request, parameters, fail)
  const client = find(clients, credential.clientId)
  if (client === undefined) return yield* fail
  if (clients.registered === undefined) return client
  switch (credential.kind) {
    case "secret":
      return credential.secret === client.clientSecret ? client : yield* fail
    case "assertion":
      yield* verifyAssertion(clients, client, credential.assertion, fail)
      return client
    case "none":
      return isPublic(client) ? client : yield* fail
  }
})

/** A public client has no credential (RFC 6749 §2.1). */
export const isPublic = (client: TestClient): boolean => client.clientSecret === undefined && client.jwk === undefined

const read = (
  request: HttpServerRequest,
  parameters: Parameters,
  fail: Effect.Effect<never, Refusal>
): Effect.Effect<Credential, Refusal> =>
  Effect.gen(function* () {
    const { client_assertion: assertion, client_id: clientId, client_secret: secret } = parameters
    const header = request.headers["authorization"]
    if ([header, secret, assertion].filter((value) => value !== undefined).length > 1) {
      return yield* refuse("invalid_request", "The client authenticates in two ways.")
    }
    if (header !== undefined) return basic(header) ?? (yield* fail)
    if (assertion !== undefined) {
      if (parameters["client_assertion_type"] !== "urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        return yield* refuse("invalid_request", "client_assertion_type is not supported.")
      }
      const subject = yield* Effect.try({ try: () => Jose.decodeJwt(assertion).sub, catch: () => undefined }).pipe(
        Effect.catch(() => fail)
      )
      if (subject === undefined || (clientId !== undefined && clientId !== subject)) return yield* fail
      return { kind: "assertion", clientId: subject, assertion }
    }
    if (clientId === undefined) return yield* fail
    return secret === undefined ? { kind: "none", clientId } : { kind: "secret", clientId, secret }
  })

// RFC 6749 §2.3.1 encodes both parts as a form does.
const basic = (header: string): Credential | undefined => {
  const [, encoded] = /^basic +([\w+/=]+)$/i.exec(header) ?? []
  if (encoded === undefined) return
  const [, clientId, secret] = /^([^:]*):(.*)$/s.exec(atob(encoded)) ?? []
  if (clientId === undefined || secret === undefined) return
  const decode = (text: string) => decodeURIComponent(text.replaceAll("+", " "))
  return { kind: "secret", clientId: decode(clientId), secret: decode(secret) }
}

const verifyAssertion = (
  { audiences, usedAssertions }: Clients,
  { clientId, jwk }: TestClient,
  assertion: string,
  fail: Effect.Effect<never, Refusal>
): Effect.Effect<void, Refusal> =>
  Effect.gen(function* () {
    if (jwk === undefined) return yield* fail
    const currentDate = new Date(yield* Clock.currentTimeMillis)
    const { payload } = yield* Effect.tryPromise(async () =>
      Jose.jwtVerify(assertion, await Jose.importJWK(jwk), {
        issuer: clientId,
        subject: clientId,
        audience: [...audiences],
        currentDate,
        requiredClaims: ["exp", "jti"]
      })
    ).pipe(Effect.catch(() => fail))
    const id = String(payload.jti)
    if (usedAssertions.has(id)) return yield* fail
    usedAssertions.add(id)
  })
