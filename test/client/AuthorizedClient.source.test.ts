// An authorized client with the tokens of a real source: many requests at once, outages, proofs and streams.
import { assert, describe } from "@effect/vitest"
import { Deferred, Effect, Fiber, Redacted, Stream } from "effect"
import {
  HttpBody,
  HttpClient,
  type HttpClientRequest,
  type HttpClientResponse,
  HttpServerResponse,
  UrlParams
} from "effect/http"
import { AuthorizedClient, ClientAuthentication, ClientCredentials, TokenSource } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { testWithIssuer as test } from "./support.ts"
import { until } from "../support/settle.ts"

const issuer = "https://issuer.test"
const api = "https://api.test"

type Respond = (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpServerResponse.HttpServerResponse>

/** An API in memory, and a client with a source of client credentials. */
const world = (options: Partial<AuthorizedClient.Options> = {}, credentials: Partial<ClientCredentials.Options> = {}) =>
  Effect.gen(function* () {
    const seen: Array<{ readonly token: string; readonly dpop: string | undefined; readonly url: string }> = []
    let respond: Respond = () => Effect.succeed(HttpServerResponse.empty())
    const http = HttpClient.make((request, url) =>
      Effect.suspend(() => {
        const { authorization = "-", dpop } = request.headers
        seen.push({ token: authorization.replace(/^\w+ /, ""), dpop, url: url.href })
        return Effect.map(respond(request), (response) => HttpServerResponse.toClientResponse(response, { request }))
      })
    )
    const source = yield* ClientCredentials.make({
      issuer,
      clientId: "worker",
      authentication: ClientAuthentication.secret(Redacted.make("secret")),
      scopes: ["items:read"],
      ...credentials
    })
    const client = yield* AuthorizedClient.make({ origins: [api], ...options }).pipe(
      Effect.provideService(TokenSource, source),
      Effect.provideService(HttpClient.HttpClient, http)
    )
    const tokenRequests = Effect.map(
      TestIssuer.use(({ requests }) => requests),
      (requests) => requests.filter(({ endpoint }) => endpoint === "token").length
    )
    return {
      client,
      source,
      seen,
      tokenRequests,
      respond: (next: Respond) => {
        respond = next
      }
    }
  })

const refusal = (status: number, challenge: string, headers: Readonly<Record<string, string>> = {}) =>
  HttpServerResponse.empty({ status, headers: { ...headers, "www-authenticate": challenge } })
const invalid = refusal(401, 'Bearer error="invalid_token"')

describe("tokens that an API refuses", () => {
  test("are replaced by one token for all requests that the API refuses at once", () =>
    Effect.gen(function* () {
      const { client, respond, seen, source, tokenRequests } = yield* world()
      const stale = `Bearer ${Redacted.value((yield* source.get()).value)}`
      const gate = yield* Deferred.make<void>()
      respond(({ headers }) =>
        headers["authorization"] === stale
          ? Effect.as(Deferred.await(gate), invalid)
          : Effect.succeed(HttpServerResponse.empty())
      )
      const fibers = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkChild(client.get(`${api}/items`))
      )
      yield* until(
        Effect.sync(() => seen.length),
        (length) => length === 20
      )
      yield* Deferred.succeed(gate, undefined)
      for (const { status } of yield* Fiber.joinAll(fibers)) assert.strictEqual(status, 204)
      assert.strictEqual(yield* tokenRequests, 2)
      assert.strictEqual(new Set(seen.map(({ token }) => token)).size, 2)
      assert.strictEqual(seen.length, 40)
    }))

  test("do not take a newer token away when the refusal comes late", () =>
    Effect.gen(function* () {
      const { client, respond, seen, tokenRequests } = yield* world()
      const gate = yield* Deferred.make<void>()
      const refused = new Set<string>()
      respond(({ headers, url }) => {
        const { authorization = "" } = headers
        if (refused.size === 0) refused.add(authorization)
        const answer = refused.has(authorization) ? invalid : HttpServerResponse.empty()
        return url.endsWith("/slow") && answer === invalid
          ? Effect.as(Deferred.await(gate), answer)
          : Effect.succeed(answer)
      })
      const slow = yield* Effect.forkChild(client.get(`${api}/slow`))
      yield* until(
        Effect.sync(() => seen.length),
        (length) => length === 1
      )
      assert.strictEqual((yield* client.get(`${api}/items`)).status, 204)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual((yield* Fiber.join(slow)).status, 204)
      assert.strictEqual(yield* tokenRequests, 2)
      const newer = seen[2]?.token
      assert.deepStrictEqual(
        seen.slice(2).map(({ token }) => token),
        [newer, newer]
      )
    }))

  test("make the request fail with the error of the source if no other token is available", () =>
    Effect.gen(function* () {
      const { client, respond, seen } = yield* world()
      const { respond: answer } = yield* TestIssuer
      yield* client.get(`${api}/items`)
      respond(() => Effect.succeed(invalid))
      yield* answer("token", { status: 503 })
      const error = yield* Effect.flip(client.get(`${api}/items`))
      assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "ServerError" })
      assert.strictEqual(seen.length, 2)
    }))

  test("are sent again with every body that can be sent twice", () =>
    Effect.gen(function* () {
      const { client, respond, seen } = yield* world()
      const bodies: Array<string> = []
      let refused = ""
      respond(({ body, headers }) =>
        Effect.sync(() => {
          bodies.push(body._tag === "Uint8Array" ? new TextDecoder().decode(body.body) : body._tag)
          const { authorization = "" } = headers
          if (refused === "") refused = authorization
          return authorization === refused ? invalid : HttpServerResponse.empty()
        })
      )
      const form = new FormData()
      form.append("name", "value")
      for (const body of [
        HttpBody.empty,
        HttpBody.text("text"),
        HttpBody.jsonUnsafe({ json: true }),
        HttpBody.urlParams(UrlParams.fromInput({ name: "value" })),
        HttpBody.formData(form)
      ]) {
        refused = ""
        assert.strictEqual((yield* client.post(`${api}/items`, { body })).status, 204)
      }
      const expected = ["Empty", "text", '{"json":true}', "name=value", "FormData"]
      assert.deepStrictEqual(
        bodies,
        expected.flatMap((body) => [body, body])
      )
      assert.strictEqual(seen.length, 10)
    }))
})

describe("a body that can be read once", () => {
  const stream = () => HttpBody.stream(Stream.make(new Uint8Array([1])))

  test("is sent once: the program gets the 401, and the next request has another token", () =>
    Effect.gen(function* () {
      const { client, respond, seen, source, tokenRequests } = yield* world()
      let refused = ""
      respond(({ headers }) => {
        const { authorization = "" } = headers
        if (refused === "") refused = authorization
        return Effect.succeed(authorization === refused ? invalid : HttpServerResponse.empty())
      })
      const { respond: answer } = yield* TestIssuer
      // The program gets the response although no other token is available.
      yield* source.get()
      yield* answer("token", { status: 503 })
      assert.strictEqual((yield* client.post(`${api}/items`, { body: stream() })).status, 401)
      yield* answer("token", "normal")
      assert.strictEqual(yield* tokenRequests, 1)
      assert.strictEqual((yield* client.post(`${api}/items`, { body: stream() })).status, 204)
      assert.strictEqual(yield* tokenRequests, 2)
      assert.strictEqual(seen.length, 2)
    }))

  test("is sent once: the program gets the 403, and the next request has the wider token", () =>
    Effect.gen(function* () {
      const { client, respond, seen } = yield* world({ ceiling: ["items:write"] })
      const scopesOf = (token: string) => Jose.decodeJwt<{ scope: string }>(token).scope
      respond(({ headers }) => {
        const scopes = scopesOf((headers["authorization"] ?? "").slice(7))
        const challenge = 'Bearer error="insufficient_scope", scope="items:write"'
        return Effect.succeed(scopes.includes("write") ? HttpServerResponse.empty() : refusal(403, challenge))
      })
      assert.strictEqual((yield* client.post(`${api}/items`, { body: stream() })).status, 403)
      assert.strictEqual((yield* client.post(`${api}/items`, { body: stream() })).status, 204)
      assert.deepStrictEqual(
        seen.map(({ token }) => scopesOf(token)),
        ["items:read", "items:read items:write"]
      )
    }))
})

describe("the proofs of a bound token", () => {
  test(
    "are new for each attempt, with the nonce of the server that they go to",
    () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("365 days")
        const algorithm = { name: "ECDSA", namedCurve: "P-256" }
        const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
        const { client, respond, seen } = yield* world({}, { dpop })
        let nonce = "api-1"
        respond(({ headers }) => {
          const proof = Jose.decodeJwt(headers["dpop"] ?? "")
          const next = { "dpop-nonce": nonce }
          return Effect.succeed(
            proof["nonce"] === nonce
              ? HttpServerResponse.empty({ headers: next })
              : refusal(401, 'Bearer realm="api", DPoP error="use_dpop_nonce"', next)
          )
        })
        for (const path of ["/items?page=1", "/items?page=2"]) {
          assert.strictEqual((yield* client.get(api + path)).status, 204)
        }
        // The API changes its nonce.
        nonce = "api-2"
        assert.strictEqual((yield* client.post(`${api}/items`, { body: HttpBody.text("{}") })).status, 204)
        const proofs = seen.map(({ dpop = "" }) => Jose.decodeJwt(dpop))
        assert.deepStrictEqual(
          proofs.map((proof) => [proof["htm"], proof["htu"], proof["nonce"]]),
          [
            ["GET", `${api}/items`, undefined],
            ["GET", `${api}/items`, "api-1"],
            ["GET", `${api}/items`, "api-1"],
            ["POST", `${api}/items`, "api-1"],
            ["POST", `${api}/items`, "api-2"]
          ]
        )
        assert.strictEqual(new Set(proofs.map(({ jti }) => jti)).size, 5)
        const digest = yield* Effect.promise(() =>
          crypto.subtle.digest("SHA-256", new TextEncoder().encode(seen[0]?.token))
        )
        for (const proof of proofs) {
          assert.deepInclude(proof, {
            iat: 365 * 86_400,
            ath: Jose.base64url.encode(new Uint8Array(digest))
          })
        }
        // The token endpoint has a nonce of its own, and has refused one request without it.
        const requests = yield* TestIssuer.use(({ requests }) => requests)
        assert.strictEqual(requests.filter(({ endpoint }) => endpoint === "token").length, 2)
      }),
    { dpopNonces: true }
  )

  test("are not sent forever to a server that always wants another nonce", () =>
    Effect.gen(function* () {
      const algorithm = { name: "ECDSA", namedCurve: "P-256" }
      const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
      const { client, respond, seen } = yield* world({}, { dpop })
      respond(() =>
        Effect.succeed(refusal(401, 'DPoP error="use_dpop_nonce"', { "dpop-nonce": `nonce-${seen.length}` }))
      )
      assert.strictEqual((yield* client.get(`${api}/items`)).status, 401)
      assert.strictEqual(seen.length, 2)
    }))
})

describe("a redirect", () => {
  for (const [what, location] of [
    ["another origin", "https://evil.test/items"],
    ["plain http", "http://api.test/items"],
    ["another port", "https://api.test:8443/items"],
    ["a host that begins alike", "https://api.test.evil.test/items"]
  ] as const) {
    test(`to ${what} is followed without the token and the proof`, () =>
      Effect.gen(function* () {
        const algorithm = { name: "ECDSA", namedCurve: "P-256" }
        const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
        const { client, respond, seen } = yield* world({}, { dpop })
        respond(({ url }) =>
          Effect.succeed(url === `${api}/start` ? HttpServerResponse.redirect(location) : HttpServerResponse.empty())
        )
        const response: HttpClientResponse.HttpClientResponse = yield* HttpClient.followRedirects(client).get(
          `${api}/start`
        )
        assert.strictEqual(response.status, 204)
        assert.isString(seen[0]?.dpop)
        assert.deepStrictEqual(seen[1], { token: "-", dpop: undefined, url: location })
      }))
  }
})
