/** Errors that a typed client of a served `HttpApi` receives, and their description in the OpenAPI document. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Schema } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServer } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiSchema,
  HttpApiTest,
  OpenApi
} from "effect/http-api"
import { AccessToken, type Challenge, OAuth2, Requirement, SecurityError } from "effect-oauth2"
import * as http from "node:http"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"

/** An error that a handler constructs. */
const own = Effect.fail(new SecurityError.InsufficientScope({ required: ["c"], missing: ["c"] }))

const tenant = Requirement.check("tenant", ({ subject }) => Effect.succeed(subject !== "a"))

class Suspended extends Schema.TaggedError<Suspended>()("Suspended", { until: Schema.String }) {}

const notSuspended = Requirement.check(
  "suspended",
  (token) => (token.subject === "suspended" ? Effect.fail(new Suspended({ until: "2100" })) : Effect.succeed(true)),
  { error: Suspended.pipe(HttpApiSchema.status(451)) }
)

const serverOf = (responses: Challenge.Responses) => {
  const users = OAuth2.authorizationCode("Users", { ...authorizationServer, scopes: { a: "", b: "" }, responses })
  const partners = OAuth2.authorizationCode("Partners", { ...authorizationServer, scopes: { x: "" }, responses })
  const get = <const Name extends string>(name: Name) =>
    HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })
  const Api = HttpApi.make("api").add(
    HttpApiGroup.make("items")
      .add(get("both").middleware(users.require("b")).middleware(users.require("a")))
      .add(get("any").middleware(users.require()))
      .add(get("optional").middleware(users.optional("a")))
      .add(get("either").middleware(OAuth2.either(users.require("a"), partners.require("x"))))
      .add(get("checked").middleware(users.require("a", notSuspended)))
      .add(get("tenant").middleware(users.require("a", tenant)))
      .add(get("own").middleware(users.require("a")))
      .add(get("ownOfAny").middleware(users.require()))
  )
  const subject = Effect.map(AccessToken, (token) => token.subject)
  const Items = HttpApiBuilder.group(Api, "items", (handlers) =>
    handlers
      .handle("both", () => subject)
      .handle("any", () => subject)
      .handle("optional", () => Effect.succeed("anyone"))
      .handle("either", () => Effect.succeed("either"))
      .handle("checked", () => subject)
      .handle("tenant", () => subject)
      .handle("own", () => own)
      .handle("ownOfAny", () => own)
  )
  const Authentication = Layer.mergeAll(
    users.layer(new Verifier({ none: [], a: ["a"], ab: ["a", "b"], suspended: ["a"] }).layer),
    partners.layer(new Verifier({ y: [] }).layer)
  )
  const Anonymous = Layer.merge(users.client("anonymous"), partners.client("anonymous"))
  return { Api, Items, Authentication, Anonymous }
}

type Server = ReturnType<typeof serverOf>

const served = ({ Api, Authentication, Items }: Server) =>
  HttpRouter.serve(HttpApiBuilder.layer(Api).pipe(Layer.provide(Items), Layer.provide(Authentication)), {
    disableLogger: true,
    disableListenLog: true
  }).pipe(Layer.provideMerge(NodeHttpServer.layerTest))

const inMemory = ({ Authentication, Items }: Server) =>
  Layer.mergeAll(Items.pipe(Layer.provide(Authentication)), Authentication, HttpServer.layerServices)

const authorization = (value: string | undefined) =>
  HttpClient.mapRequest((request) =>
    value === undefined ? request : HttpClientRequest.setHeader(request, "authorization", value)
  )

const clientOf =
  ({ Anonymous, Api }: Server) =>
  (value?: string) =>
    Effect.map(HttpApiClient.make(Api, { transformClient: authorization(value) }), ({ items }) => items).pipe(
      Effect.provide(Anonymous)
    )

for (const responses of ["fastapi", "rfc6750"] as const) {
  const server = serverOf(responses)
  const client = clientOf(server)
  const strict = responses === "rfc6750"

  describe(`a typed client of an api with responses: ${responses}`, () => {
    it.effect("receives successful responses", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* (yield* client("Bearer ab")).both(), "ab")
        assert.strictEqual(yield* (yield* client()).optional(), "anyone")
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("receives the same tagged errors, with the challenge of the response", () =>
      Effect.gen(function* () {
        const missing = yield* Effect.flip((yield* client()).both())
        assert.instanceOf(missing, SecurityError.NotAuthenticated)
        assert.deepStrictEqual(
          [missing.reason, missing.challenge],
          ["Unspecified", strict ? `Bearer realm="Users", scope="a b"` : "Bearer"]
        )

        const bad = yield* Effect.flip((yield* client("Bearer bad")).both())
        assert.instanceOf(bad, SecurityError.InvalidToken)
        assert.deepStrictEqual(
          [bad.reason, bad.challenge],
          ["Unspecified", strict ? `Bearer error="invalid_token", scope="a b"` : `Bearer scope="a b"`]
        )

        const few = yield* Effect.flip((yield* client("Bearer a")).both())
        assert.instanceOf(few, SecurityError.InsufficientScope)
        assert.deepStrictEqual(
          [few.required, few.challenge],
          [["a", "b"], strict ? `Bearer error="insufficient_scope", scope="a b"` : `Bearer scope="a b"`]
        )

        const down = yield* Effect.flip((yield* client("Bearer outage")).both())
        assert.instanceOf(down, SecurityError.AuthorizationServerUnavailable)
        assert.strictEqual(Duration.toSeconds(down.retryAfter), 5)
        assert.isUndefined(down.issuer)

        const malformed: object = yield* Effect.flip((yield* client("Bearer x y")).both())
        // FastAPI responds to malformed credentials as to missing ones.
        if (strict) {
          assert.instanceOf(malformed, SecurityError.InvalidRequest)
          assert.strictEqual(malformed.challenge, `Bearer error="invalid_request"`)
        } else {
          assert.instanceOf(malformed, SecurityError.NotAuthenticated)
          assert.strictEqual(malformed.challenge, "Bearer")
        }
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("receives FailedCheck without missing scopes, unless the response is FastAPI's", () =>
      Effect.gen(function* () {
        const refused = yield* Effect.flip((yield* client("Bearer a")).tenant())
        if (strict) {
          assert.instanceOf(refused, SecurityError.FailedCheck)
          assert.deepStrictEqual([refused.checks, refused.challenge], [[], 'Bearer realm="Users"'])
        } else {
          // FastAPI has one detail for all missing permissions.
          assert.instanceOf(refused, SecurityError.InsufficientScope)
          assert.deepStrictEqual([refused.required, refused.challenge], [[], "Bearer"])
        }
        const few = yield* Effect.flip((yield* client("Bearer none")).tenant())
        assert.instanceOf(few, SecurityError.InsufficientScope)
        assert.strictEqual(yield* (yield* client("Bearer ab")).tenant(), "ab")
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("receives the errors of an endpoint without required scopes", () =>
      Effect.gen(function* () {
        const missing = yield* Effect.flip((yield* client()).any())
        assert.instanceOf(missing, SecurityError.NotAuthenticated)
        assert.strictEqual(missing.challenge, strict ? `Bearer realm="Users"` : "Bearer")
        const bad = yield* Effect.flip((yield* client("Bearer bad")).any())
        assert.instanceOf(bad, SecurityError.InvalidToken)
        assert.strictEqual(bad.challenge, strict ? `Bearer error="invalid_token"` : "Bearer")
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("receives the errors of an endpoint with optional authentication", () =>
      Effect.gen(function* () {
        assert.instanceOf(yield* Effect.flip((yield* client("Bearer bad")).optional()), SecurityError.InvalidToken)
        assert.instanceOf(
          yield* Effect.flip((yield* client("Bearer none")).optional()),
          SecurityError.InsufficientScope
        )
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("catches the errors by tag", () =>
      Effect.gen(function* () {
        const items = yield* client("Bearer none")
        const ask = items.both().pipe(
          Effect.catchTags({
            NotAuthenticated: () => Effect.succeed("log in"),
            InvalidToken: () => Effect.succeed("log in again"),
            InsufficientScope: ({ required }) => Effect.succeed(`ask for ${required.join(" ")}`),
            AuthorizationServerUnavailable: ({ retryAfter }) => Effect.succeed(`wait ${Duration.toSeconds(retryAfter)}`)
          })
        )
        assert.strictEqual(yield* ask, "ask for a b")
      }).pipe(Effect.provide(served(server)))
    )

    it.effect("receives the error of a check, decoded by its schema", () =>
      Effect.gen(function* () {
        const suspended = yield* Effect.flip((yield* client("Bearer suspended")).checked())
        assert.instanceOf(suspended, Suspended)
        assert.strictEqual(suspended.until, "2100")
        assert.strictEqual(yield* (yield* client("Bearer a")).checked(), "a")
      }).pipe(Effect.provide(served(server)))
    )

    for (const [name, scope] of [
      ["own", "a c"],
      ["ownOfAny", "c"]
    ] as const) {
      it.effect(`receives an error that a handler constructs (${name})`, () =>
        Effect.gen(function* () {
          const own = yield* Effect.flip((yield* client("Bearer a"))[name]())
          assert.instanceOf(own, SecurityError.InsufficientScope)
          assert.strictEqual(
            own.challenge,
            strict ? `Bearer error="insufficient_scope", scope="${scope}"` : `Bearer scope="${scope}"`
          )
        }).pipe(Effect.provide(served(server)))
      )
    }

    describe("of two schemes", () => {
      const challenges = {
        missing: strict ? [`Bearer realm="Users", scope="a"`, `Bearer realm="Partners", scope="x"`] : ["Bearer"],
        bad: strict
          ? [`Bearer error="invalid_token", scope="a"`, `Bearer error="invalid_token", scope="x"`]
          : [`Bearer scope="a"`, `Bearer scope="x"`],
        few: strict
          ? [`Bearer error="invalid_token", scope="a"`, `Bearer error="insufficient_scope", scope="x"`]
          : [`Bearer scope="a"`, `Bearer scope="x"`]
      }

      it.effect("receives one WWW-Authenticate header for each challenge", () =>
        Effect.gen(function* () {
          const { address } = yield* HttpServer.HttpServer
          const port = address._tag === "UnixPathAddress" ? 0 : address.port
          const fields = (value: string | undefined) =>
            Effect.callback<ReadonlyArray<string>>((resume) => {
              const headers = value === undefined ? {} : { authorization: value }
              http.get({ port, path: "/either", headers, agent: false }, (response) => {
                response.resume()
                const raw = response.rawHeaders
                resume(
                  Effect.succeed(raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === "www-authenticate"))
                )
              })
            })
          assert.deepStrictEqual(yield* fields(undefined), challenges.missing)
          assert.deepStrictEqual(yield* fields("Bearer bad"), challenges.bad)
          assert.deepStrictEqual(yield* fields("Bearer y"), challenges.few)
        }).pipe(Effect.provide(served(server)))
      )

      it.effect("receives the most specific error with all challenges", () =>
        Effect.gen(function* () {
          const missing = yield* Effect.flip((yield* client()).either())
          assert.instanceOf(missing, SecurityError.NotAuthenticated)
          assert.strictEqual(missing.challenge, challenges.missing.join(", "))
          const bad = yield* Effect.flip((yield* client("Bearer bad")).either())
          assert.instanceOf(bad, SecurityError.InvalidToken)
          assert.strictEqual(bad.challenge, challenges.bad.join(", "))
          const few = yield* Effect.flip((yield* client("Bearer y")).either())
          assert.instanceOf(few, SecurityError.InsufficientScope)
          assert.strictEqual(few.challenge, challenges.few.join(", "))
        }).pipe(Effect.provide(served(server)))
      )

      if (strict) {
        it.effect("receives the required scopes of the most specific error, not those of the first challenge", () =>
          Effect.gen(function* () {
            const few = yield* Effect.flip((yield* client("Bearer y")).either())
            assert.instanceOf(few, SecurityError.InsufficientScope)
            assert.deepStrictEqual(few.required, ["x"])
          }).pipe(Effect.provide(served(server)))
        )
      }
    })

    it.effect("receives the same errors in memory (HttpApiTest)", () =>
      Effect.gen(function* () {
        const { items } = yield* HttpApiTest.groups(server.Api, ["items"]).pipe(Effect.provide(server.Anonymous))
        assert.strictEqual(yield* items.optional(), "anyone")
        const missing = yield* Effect.flip(items.both())
        assert.instanceOf(missing, SecurityError.NotAuthenticated)
        assert.strictEqual(missing.challenge, strict ? `Bearer realm="Users", scope="a b"` : "Bearer")
        const either = yield* Effect.flip(items.either())
        assert.instanceOf(either, SecurityError.NotAuthenticated)
        assert.strictEqual(
          either.challenge,
          strict ? `Bearer realm="Users", scope="a", Bearer realm="Partners", scope="x"` : "Bearer"
        )
      }).pipe(Effect.provide(inMemory(server)))
    )

    it("finds all statuses and headers in the OpenAPI document", () => {
      const { paths } = OpenApi.fromApi(server.Api)
      const documented = (name: string) =>
        Object.fromEntries(
          Object.entries(paths[`/${name}`]?.get?.responses ?? {}).map(([status, response]) => [
            status,
            Object.keys(response.headers ?? {})
          ])
        )
      const errors = {
        ...(strict ? { 400: ["www-authenticate"], 403: ["www-authenticate"] } : {}),
        401: ["www-authenticate"],
        503: ["retry-after"]
      }
      for (const name of ["both", "optional", "either"]) {
        assert.deepStrictEqual(documented(name), { 200: [], ...errors }, name)
      }
      // An endpoint without required scopes never responds with 403.
      const { 403: _, ...withoutScopes } = documented("any")
      assert.deepStrictEqual(
        withoutScopes,
        Object.fromEntries(Object.entries({ 200: [], ...errors }).filter(([status]) => status !== "403"))
      )
      assert.deepStrictEqual(documented("checked"), { 200: [], 451: [], ...errors })
    })
  })
}
