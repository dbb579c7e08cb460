/** The errors of checks and look-ups respond on a route of HttpRouter exactly as in an HttpApi. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { fromContext } from "../support/contextVerifier.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { type Answer, serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })

class DatabaseDown extends Schema.TaggedError<DatabaseDown>()(
  "DatabaseDown",
  { retry: Schema.Number },
  { httpApiStatus: 503 }
) {}

class Service extends Context.Service<Service, string>()("test/Service") {}

const errors: Readonly<Record<string, readonly [schema: Schema.Top, error: unknown]>> = {
  "a class with a status": [DatabaseDown, new DatabaseDown({ retry: 5 })],
  "a struct, frozen": [
    Schema.Struct({ why: Schema.String }).pipe(HttpApiSchema.status(409)),
    Object.freeze({ why: "locked" })
  ],
  "a text": [Schema.String.pipe(HttpApiSchema.status(418), HttpApiSchema.asText()), "teapot"],
  "a number": [Schema.Number.pipe(HttpApiSchema.status(429)), 30],
  "a problem": [
    Schema.Struct({ title: Schema.String }).pipe(
      HttpApiSchema.status(403),
      HttpApiSchema.asJson({ contentType: "application/problem+json" })
    ),
    { title: "No impersonation" }
  ],
  "an error without a body": [HttpApiSchema.Empty(402), undefined],
  "an error without a declared status": [Schema.Struct({ n: Schema.NumberFromString }), { n: 1 }]
}

const summary = ({ body, challenge, headers, status }: Answer) => ({
  status,
  challenge,
  body,
  type: headers.get("content-type")
})

/** Answers of a route and of an endpoint with the same requirement. */
const answers = <Provides, E>(requirement: OAuth2.SecurityRequirement<"OAuth2", Provides, E>) =>
  Effect.gen(function* () {
    const Api = HttpApi.make("api").add(
      HttpApiGroup.make("group").add(HttpApiEndpoint.get("get", "/endpoint").middleware(requirement))
    )
    const app = Layer.mergeAll(
      HttpRouter.add("GET", "/route", HttpServerResponse.empty()).pipe(requirement),
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(HttpApiBuilder.group(Api, "group", (handlers) => handlers.handle("get", () => Effect.void))),
        Layer.provide(HttpServer.layerServices)
      )
    ).pipe(Layer.provide(auth.layer(fromContext)), Layer.provide(new Verifier({ t: ["a", "b"] }).layer))
    const send = yield* serve(app as Layer.Layer<never>)
    return {
      route: summary(yield* send("/route", "t")),
      endpoint: summary(yield* send("/endpoint", "t")),
      again: summary(yield* send("/route", "t"))
    }
  })

describe("an error of user code responds on a route as in an HttpApi", () => {
  for (const [name, [schema, error]] of Object.entries(errors)) {
    const failing = Effect.fail(error) as Effect.Effect<never, never>
    const options = { error: schema as Schema.Codec<never> }
    it.effect(`${name}, of a check`, () =>
      Effect.gen(function* () {
        const check = Requirement.check("check", () => failing, options)
        const { again, endpoint, route } = yield* answers(auth.require("a", check))
        assert.notStrictEqual(endpoint.status, 204)
        assert.deepStrictEqual(route, endpoint)
        assert.deepStrictEqual(again, endpoint)
      })
    )

    it.effect(`${name}, of a look-up`, () =>
      Effect.gen(function* () {
        const { again, endpoint, route } = yield* answers(auth.require("a").provide(Service, failing, options))
        assert.notStrictEqual(endpoint.status, 204)
        assert.deepStrictEqual(route, endpoint)
        assert.deepStrictEqual(again, endpoint)
      })
    )
  }

  it.effect("with the declared status and body", () =>
    Effect.gen(function* () {
      const down = Requirement.check("database", () => Effect.fail(new DatabaseDown({ retry: 5 })), {
        error: DatabaseDown
      })
      const { route } = yield* answers(auth.require(down))
      assert.deepStrictEqual(route, {
        status: 503,
        challenge: null,
        body: `{"_tag":"DatabaseDown","retry":5}`,
        type: "application/json"
      })
    })
  )

  it.effect("but an alternative that holds is taken first", () =>
    Effect.gen(function* () {
      const down = Requirement.check("database", () => Effect.fail(new DatabaseDown({ retry: 5 })), {
        error: DatabaseDown
      })
      const { endpoint, route } = yield* answers(auth.require(Requirement.any("a", down)))
      assert.deepStrictEqual([route.status, endpoint.status], [204, 204])
    })
  )

  it.effect("and middleware outside of the requirement receives the error itself", () =>
    Effect.gen(function* () {
      const thrown = new DatabaseDown({ retry: 5 })
      const down = Requirement.check("database", () => Effect.fail(thrown), { error: DatabaseDown })
      const caught: Array<unknown> = []
      const observing = HttpRouter.middleware((handler) =>
        Effect.tapError(handler, (error) => Effect.sync(() => caught.push(error)))
      )
      const app = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(
        auth.require(down),
        Layer.provide(observing.layer),
        Layer.provide(auth.layer(new Verifier({ t: [] }).layer))
      )
      const send = yield* serve(app)
      assert.strictEqual((yield* send("/", "t")).status, 503)
      assert.deepStrictEqual(caught, [thrown])
      assert.strictEqual(caught[0], thrown)
    })
  )

  it.effect("and an error that responds by itself keeps its response on a route", () =>
    Effect.gen(function* () {
      const error = Object.assign(new DatabaseDown({ retry: 5 }), {
        [HttpServerRespondable.symbol]: () => Effect.succeed(HttpServerResponse.empty({ status: 299 }))
      })
      const down = Requirement.check("database", () => Effect.fail(error), { error: DatabaseDown })
      assert.strictEqual((yield* answers(auth.require(down))).route.status, 299)
    })
  )
})
