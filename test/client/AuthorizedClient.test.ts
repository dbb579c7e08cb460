// An HTTP client that sends the tokens of a source: where they go, and what answers change.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Ref, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Challenge, SecurityError } from "effect-oauth2"
import { AuthorizedClient, type ClientToken, TokenSource } from "effect-oauth2/client"

const api = "https://api.test"

type Handler = (request: HttpServerRequest.HttpServerRequest) => HttpServerResponse.HttpServerResponse

interface Seen {
  readonly url: string
  readonly authorization: string | undefined
  readonly dpop: string | undefined
}

/** An API in memory, and a source whose tokens are t1, t2, …, with the scopes that were asked for. */
const world = Effect.gen(function* () {
  const seen = yield* Ref.make<ReadonlyArray<Seen>>([])
  let handler: Handler = () => HttpServerResponse.empty()
  const asked: Array<ReadonlyArray<string>> = []
  const forgotten: Array<string> = []
  const current = new Map<string, ClientToken>()
  let number = 0
  const source = TokenSource.of({
    get: ({ scopes = ["items:read"] } = {}) =>
      Effect.sync(() => {
        const key = scopes.join(" ")
        const found = current.get(key)
        if (found !== undefined) return found
        asked.push(scopes)
        number += 1
        const token = {
          value: Redacted.make(`t${number}`),
          type: "Bearer" as const,
          scopes: new Set(scopes),
          expiresAt: Infinity
        }
        current.set(key, token)
        return token
      }),
    forget: (token) =>
      Effect.sync(() => {
        forgotten.push(Redacted.value(token.value))
        for (const [key, found] of current) if (found === token) current.delete(key)
      })
  })
  const http = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const served = HttpServerRequest.fromClientRequest(request)
      const { authorization, dpop } = request.headers
      yield* Ref.update(seen, (all) => [...all, { url: url.href, authorization, dpop }])
      return HttpServerResponse.toClientResponse(handler(served), { request })
    })
  )
  const layer = Layer.mergeAll(Layer.succeed(TokenSource, source), Layer.succeed(HttpClient.HttpClient, http))
  return {
    make: (options: Partial<AuthorizedClient.Options> = {}) =>
      Effect.provide(AuthorizedClient.make({ origins: [api], ...options }), layer),
    respond: (next: Handler) => {
      handler = next
    },
    source,
    asked,
    forgotten,
    seen: Ref.get(seen),
    tokens: Effect.map(Ref.get(seen), (all) => all.map(({ authorization }) => authorization))
  }
})

const unauthorized = (challenge: string) =>
  HttpServerResponse.empty({ status: 401, headers: { "www-authenticate": challenge } })
const forbidden = (scope: string) =>
  HttpServerResponse.empty({
    status: 403,
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` }
  })

describe("the token of an authorized client", () => {
  it.effect("goes to the origins of the options and nowhere else", () =>
    Effect.gen(function* () {
      const { make, seen } = yield* world
      const client = yield* make()
      const urls = [
        `${api}/items`,
        "https://api.test:8443/items",
        "http://api.test/items",
        "https://api.test.evil.example/items",
        "https://evil.example/https://api.test",
        "https://API.TEST/items"
      ]
      for (const url of urls) yield* client.get(url)
      yield* client.get(`${api}/items`, { headers: { authorization: "Basic own" } })
      assert.deepStrictEqual(
        (yield* seen).map(({ authorization }) => authorization),
        ["Bearer t1", undefined, undefined, undefined, undefined, "Bearer t1", "Basic own"]
      )
    })
  )

  it.effect("is dropped on a redirect to another origin, and kept on one to the same", () =>
    Effect.gen(function* () {
      const { make, respond, seen } = yield* world
      respond((request) =>
        request.url === "/start"
          ? HttpServerResponse.redirect("/moved")
          : request.url === "/moved"
            ? HttpServerResponse.redirect("https://evil.example/")
            : HttpServerResponse.empty()
      )
      const client = HttpClient.followRedirects(yield* make())
      yield* client.get(`${api}/start`)
      assert.deepStrictEqual(
        (yield* seen).map(({ authorization, url }) => [url, authorization]),
        [
          [`${api}/start`, "Bearer t1"],
          [`${api}/moved`, "Bearer t1"],
          ["https://evil.example/", undefined]
        ]
      )
    })
  )

  it.effect("works with clients that add a base URL, before or after", () =>
    Effect.gen(function* () {
      const { make, tokens } = yield* world
      const client = (yield* make()).pipe(HttpClient.mapRequest(HttpClientRequest.prependUrl(api)))
      yield* client.get("/items")
      assert.deepStrictEqual(yield* tokens, ["Bearer t1"])
    })
  )

  it.effect("fails at the start if an origin is not secure, or has a path", () =>
    Effect.gen(function* () {
      const { make } = yield* world
      for (const origin of ["http://api.test", "https://api.test/items", "api.test", "https://api.test/?x"]) {
        const error = yield* Effect.flip(make({ origins: [origin] }))
        assert.deepInclude(error, { _tag: "ConfigurationError", setting: "origins" })
      }
    })
  )
})

describe("a 401", () => {
  const challenges = [
    'Bearer error="invalid_token"',
    'Bearer realm="api"',
    'Basic realm="x", bearer Error=invalid_token'
  ]
  for (const challenge of challenges) {
    it.effect(`makes the client send once more with a new token: ${challenge}`, () =>
      Effect.gen(function* () {
        const { forgotten, make, respond, tokens } = yield* world
        respond(({ headers }) =>
          headers["authorization"] === "Bearer t1" ? unauthorized(challenge) : HttpServerResponse.empty()
        )
        const client = yield* make()
        const { status } = yield* client.get(`${api}/items`)
        assert.strictEqual(status, 204)
        assert.deepStrictEqual(yield* tokens, ["Bearer t1", "Bearer t2"])
        assert.deepStrictEqual(forgotten, ["t1"])
      })
    )
  }

  const others = ['Basic realm="proxy"', 'Bearer error="invalid_request"', "", "Bearer error=invalid_tokens"]
  for (const challenge of others) {
    it.effect(`is for the program if the token is not the cause: ${challenge}`, () =>
      Effect.gen(function* () {
        const { forgotten, make, respond, tokens } = yield* world
        respond(() => unauthorized(challenge))
        const { status } = yield* (yield* make()).get(`${api}/items`)
        assert.strictEqual(status, 401)
        assert.strictEqual((yield* tokens).length, 1)
        assert.deepStrictEqual(forgotten, [])
      })
    )
  }

  it.effect("is for the program the second time", () =>
    Effect.gen(function* () {
      const { make, respond, tokens } = yield* world
      respond(() => unauthorized('Bearer error="invalid_token"'))
      const { status } = yield* (yield* make()).get(`${api}/items`)
      assert.strictEqual(status, 401)
      assert.deepStrictEqual(yield* tokens, ["Bearer t1", "Bearer t2"])
    })
  )

  it.effect("lets a body be sent again only if it can be", () =>
    Effect.gen(function* () {
      const { make, respond, tokens } = yield* world
      respond(() => unauthorized('Bearer error="invalid_token"'))
      const client = yield* make()
      const stream = HttpBody.stream(Stream.make(new Uint8Array([1])))
      yield* client.post(`${api}/items`, { body: stream })
      assert.strictEqual((yield* tokens).length, 1)
      yield* client.post(`${api}/items`, { body: HttpBody.text("{}") })
      assert.strictEqual((yield* tokens).length, 3)
    })
  )

  it.effect("with insufficient_user_authentication fails with the values of the next sign-in", () =>
    Effect.gen(function* () {
      const { make, respond } = yield* world
      const error = 'error="insufficient_user_authentication", acr_values="mfa phr", max_age="60", scope="items:write"'
      respond(() => unauthorized(`Bearer ${error}`))
      const client = yield* make()
      const failure = yield* Effect.flip(client.get(`${api}/items`))
      assert.deepInclude(failure, {
        _tag: "StepUpRequired",
        acrValues: ["mfa", "phr"],
        maxAge: 60,
        scopes: ["items:write"]
      })
    })
  )
})

describe("a 403 insufficient_scope", () => {
  it.effect("makes the client ask for more within its ceiling, once, and remember it", () =>
    Effect.gen(function* () {
      const { asked, make, respond, tokens } = yield* world
      respond(({ headers }) =>
        headers["authorization"] === "Bearer t1" ? forbidden("items:read items:write") : HttpServerResponse.empty()
      )
      const client = yield* make({ ceiling: ["items:write"] })
      assert.strictEqual((yield* client.get(`${api}/items`)).status, 204)
      assert.strictEqual((yield* client.get(`${api}/items`)).status, 204)
      assert.deepStrictEqual(yield* tokens, ["Bearer t1", "Bearer t2", "Bearer t2"])
      assert.deepStrictEqual(asked, [["items:read"], ["items:read", "items:write"]])
    })
  )

  it.effect("fails with the scopes beyond the ceiling, or if the token has them already", () =>
    Effect.gen(function* () {
      const { make, respond, tokens } = yield* world
      const client = yield* make({ ceiling: ["items:write"] })
      for (const scope of ["admin items:write", "items:read"]) {
        respond(() => forbidden(scope))
        const error = yield* Effect.flip(client.get(`${api}/items`))
        assert.deepInclude(error, { _tag: "ScopesRequired", scopes: scope.split(" ") })
      }
      assert.strictEqual((yield* tokens).length, 2)
    })
  )

  it.effect("does not widen the token of the next requests if the wider one does not help", () =>
    Effect.gen(function* () {
      const { make, respond, tokens } = yield* world
      respond(() => forbidden("items:write"))
      const client = yield* make({ ceiling: ["items:write"] })
      const exit = yield* Effect.exit(client.get(`${api}/items`))
      assert.isTrue(Exit.isSuccess(exit) && exit.value.status === 403)
      respond(() => HttpServerResponse.empty())
      yield* client.get(`${api}/items`)
      assert.deepStrictEqual(yield* tokens, ["Bearer t1", "Bearer t2", "Bearer t1"])
    })
  )

  it.effect("without scopes is for the program", () =>
    Effect.gen(function* () {
      const { make, respond } = yield* world
      const headers = { "www-authenticate": 'Bearer error="insufficient_scope"' }
      respond(() => HttpServerResponse.empty({ status: 403, headers }))
      assert.strictEqual((yield* (yield* make()).get(`${api}/items`)).status, 403)
    })
  )

  it.effect("does not include a failed check of this library, which the program gets without a second request", () =>
    Effect.gen(function* () {
      const { asked, make, respond, tokens } = yield* world
      const settings = { responses: "rfc6750", realm: "api", scopes: ["items:read"], renderers: {} } as const
      const error = new SecurityError.FailedCheck({ checks: ["tenant"] })
      respond(() => Effect.runSync(Challenge.respond(Challenge.within(error, settings))))
      const response = yield* (yield* make({ ceiling: ["items:write"] })).get(`${api}/items`)
      assert.deepStrictEqual([response.status, response.headers["www-authenticate"]], [403, 'Bearer realm="api"'])
      assert.deepStrictEqual([yield* tokens, asked.length], [["Bearer t1"], 1])
    })
  )
})
