/** Responses of an `HttpApi` if errors of this library could match other declared errors. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Layer, Option, Schema, Scope } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import {
  HttpApi,
  HttpApiBuilder,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  OpenApi
} from "effect/http-api"
import { AccessToken, BearerToken, Challenge, OAuth2, SecurityError, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { times } from "../support/times.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { type Send, serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { a: "", b: "" },
  responses: "rfc6750"
})
const authentication = auth.layer(new Verifier({ a: ["a"], b: ["b"] }).layer)

const subject = Effect.map(AccessToken, (token) => token.subject)

type Refused = readonly [status: number, challenge: string | null, detail: string]

const refusedOf = (
  send: Send,
  path: string,
  token?: string
): Effect.Effect<readonly [number, string | null, unknown]> =>
  Effect.map(send(path, token), ({ body, challenge, status }) => [
    status,
    challenge,
    (JSON.parse(body) as { readonly detail: unknown }).detail
  ])

const refusals: ReadonlyArray<readonly [token: string | undefined, Refused]> = [
  [undefined, [401, `Bearer realm="OAuth2", scope="a"`, "Not authenticated"]],
  ["bad", [401, `Bearer error="invalid_token", scope="a"`, "Could not validate credentials"]],
  ["b", [403, `Bearer error="insufficient_scope", scope="a"`, "Not enough permissions"]],
  ["outage", [503, null, "Authorization server unavailable"]],
  ["x y", [400, `Bearer error="invalid_request"`, "Malformed credentials"]]
]

/** Declared error schemas that also match an error of this library. */
const fitting: Readonly<Record<string, Schema.Codec<unknown, unknown>>> = {
  "a message": Schema.Struct({ message: Schema.String }).pipe(HttpApiSchema.status(409)),
  "any record": Schema.Record(Schema.String, Schema.Unknown).pipe(HttpApiSchema.status(409)),
  "nothing that must be there": Schema.Struct({ hint: Schema.optional(Schema.String) }).pipe(HttpApiSchema.status(409)),
  "a defect": Schema.Defect(),
  "a tag of the same name": Schema.Struct({ _tag: Schema.Literal("InvalidToken") }).pipe(HttpApiSchema.status(409))
}

for (const [name, error] of Object.entries(fitting)) {
  describe(`a declared error that accepts ${name}`, () => {
    class Audit extends HttpApiMiddleware.Service<Audit>()("Audit", { error }) {}
    const group = HttpApiGroup.make("g").add(HttpApiEndpoint.get("get", "/get", { success: Schema.String }))
    const served = <Groups extends HttpApiGroup.Constraint>(api: HttpApi.HttpApi<"api", Groups>) =>
      serve(
        HttpApiBuilder.layer(api).pipe(
          Layer.provide(
            HttpApiBuilder.group(api as never, "g" as never, (handlers: any) => handlers.handle("get", () => subject))
          ),
          Layer.provide(Layer.succeed(Audit, (handler) => handler)),
          Layer.provide(authentication),
          Layer.provide(HttpServer.layerServices)
        ) as Layer.Layer<never, never, HttpRouter.HttpRouter>
      )

    for (const [place, send] of Object.entries({
      "of the endpoint": served(
        HttpApi.make("api").add(
          HttpApiGroup.make("g")
            .add(HttpApiEndpoint.get("get", "/get", { success: Schema.String, error }))
            .middleware(auth.require("a"))
        )
      ),
      "of a middleware inside": served(HttpApi.make("api").add(group.middleware(Audit).middleware(auth.require("a")))),
      "of a middleware outside": served(HttpApi.make("api").add(group.middleware(auth.require("a")).middleware(Audit))),
      "of a middleware between two requirements": served(
        HttpApi.make("api").add(group.middleware(auth.require("a")).middleware(Audit).middleware(auth.require()))
      )
    })) {
      it.effect(`${place} does not encode refusals`, () =>
        Effect.gen(function* () {
          const app = yield* send
          assert.strictEqual((yield* app("/get", "a")).status, 200)
          for (const [token, refused] of refusals) {
            assert.deepStrictEqual(yield* refusedOf(app, "/get", token), refused)
          }
        })
      )
    }
  })
}

describe("a custom guard", () => {
  class CurrentUser extends Context.Service<CurrentUser, string>()("CurrentUser") {}

  const currentUser = Effect.flatMap(auth.token, ({ subject }) =>
    subject === "a" ? Effect.succeed("A") : auth.refuse(new SecurityError.InvalidToken({ reason: "Rejected" }))
  )

  class SignedIn extends HttpApiMiddleware.Service<
    SignedIn,
    { provides: CurrentUser; requires: OAuth2.Verified<"OAuth2"> }
  >()("SignedIn", { error: auth.errors.InvalidToken }) {}

  const Api = HttpApi.make("api")
    .add(
      HttpApiGroup.make("g")
        .add(HttpApiEndpoint.get("me", "/me", { success: Schema.String }))
        .middleware(SignedIn)
        .middleware(auth.require())
        .add(
          HttpApiEndpoint.get("open", "/open", {
            success: Schema.String,
            error: [Schema.Struct({ message: Schema.String }), auth.errors.InvalidToken]
          }).middleware(OAuth2.Public("a guard of its own"))
        )
    )
    .pipe(OAuth2.secured, OAuth2.openApi)
  const App = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "g", (handlers) =>
        handlers
          .handle("me", () => CurrentUser)
          .handle("open", () => auth.refuse(new SecurityError.InvalidToken({ reason: "Claim", claim: "secret" })))
      ).pipe(OAuth2.secured)
    ),
    Layer.provide(Layer.succeed(SignedIn, (handler) => Effect.provideServiceEffect(handler, CurrentUser, currentUser))),
    Layer.provide(authentication),
    Layer.provide(HttpServer.layerServices)
  )

  it.effect("declares an error of the scheme, and gets the response of the scheme", () =>
    Effect.gen(function* () {
      const send = yield* serve(App)
      assert.strictEqual((yield* send("/me", "a")).body, `"A"`)
      const refused: Refused = [401, `Bearer error="invalid_token"`, "Could not validate credentials"]
      assert.deepStrictEqual(yield* refusedOf(send, "/me", "b"), refused)
      assert.deepStrictEqual(yield* refusedOf(send, "/me", "bad"), refused)
      assert.deepStrictEqual(yield* refusedOf(send, "/open"), refused)
    })
  )

  it("adds nothing to the OpenAPI document", () => {
    const { me, open } = Object.fromEntries(
      Object.entries(OpenApi.fromApi(Api).paths).map(([path, item]) => [path.slice(1), item.get])
    )
    assert.deepStrictEqual(Object.keys(me?.responses ?? {}), ["200", "400", "401", "503"])
    assert.deepStrictEqual(Object.keys(open?.responses ?? {}), ["200", "401", "500"])
  })
})

describe("an error that a handler constructs", () => {
  const route = HttpRouter.add("GET", "/", Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))).pipe(
    auth.require("b"),
    auth.require("a"),
    Layer.provide(auth.layer(new Verifier({ ab: ["a", "b"] }).layer))
  )

  it.effect("gets the response of the scheme on a route", () =>
    Effect.gen(function* () {
      const send = yield* serve(route)
      assert.deepStrictEqual(yield* refusedOf(send, "/", "ab"), [
        401,
        `Bearer error="invalid_token", scope="a b"`,
        "Could not validate credentials"
      ])
    })
  )
})

describe("a Public endpoint whose handler refuses", () => {
  const fits = Schema.Struct({ message: Schema.String }).pipe(HttpApiSchema.status(409))
  const group = HttpApiGroup.make("g")
    .add(HttpApiEndpoint.get("declared", "/declared", { error: [fits, auth.errors.InvalidToken] }))
    .add(HttpApiEndpoint.get("undeclared", "/undeclared", { error: fits }))
    .middleware(OAuth2.Public("it is a test"))
  const Api = HttpApi.make("api").add(group)
  const own = Effect.fail(new SecurityError.InvalidToken({ reason: "Claim", claim: "secret" }))
  const App = HttpApiBuilder.layer(Api).pipe(
    Layer.provide(
      HttpApiBuilder.group(Api, "g", (handlers) =>
        handlers.handle("declared", () => own).handle("undeclared", () => own as Effect.Effect<never>)
      )
    ),
    Layer.provide(authentication),
    Layer.provide(HttpServer.layerServices)
  )

  it.effect("responds like the scheme whose error it declares, whatever else it declares", () =>
    Effect.gen(function* () {
      const send = yield* serve(App)
      const detail = "Could not validate credentials"
      assert.deepStrictEqual(yield* refusedOf(send, "/declared"), [401, `Bearer error="invalid_token"`, detail])
      assert.deepStrictEqual(yield* refusedOf(send, "/undeclared"), [401, "Bearer", detail])
    })
  )
})

describe("an error that a scheme created", () => {
  it.effect("can be encoded outside a response, such as in the events of a stream", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        auth.refuse(new SecurityError.InvalidToken({ reason: "Claim", claim: "secret" }))
      )
      const encoded = JSON.stringify(yield* Schema.encodeEffect(auth.errors.InvalidToken)(error))
      assert.include(encoded, "Could not validate credentials")
      assert.notInclude(encoded, "secret")
    })
  )
})

describe("a route that accepts either of two schemes", () => {
  const partners = OAuth2.clientCredentials("Partners", {
    tokenUrl: authorizationServer.tokenUrl,
    scopes: { catalogue: "" }
  })

  it.effect("lets its handler find out which scheme accepted the token", () =>
    Effect.gen(function* () {
      const who = Effect.map(
        Effect.all([Effect.option(auth.authorize), Effect.option(partners.authorize)]),
        ([user, partner]) =>
          HttpServerResponse.jsonUnsafe([user, partner].map((token) => Option.getOrNull(token)?.subject))
      )
      const send = yield* serve(
        HttpRouter.add("GET", "/", who).pipe(
          OAuth2.either(auth.require("a"), partners.require("catalogue")),
          Layer.provide(authentication),
          Layer.provide(partners.layer(new Verifier({ p: ["catalogue"] }).layer))
        )
      )
      assert.strictEqual((yield* send("/", "a")).body, `["a",null]`)
      assert.strictEqual((yield* send("/", "p")).body, `[null,"p"]`)
      assert.strictEqual((yield* send("/", "bad")).status, 401)
    })
  )
})

describe("an HttpApi that is built during a request", () => {
  const endpoint = HttpApiEndpoint.get("get", "/get", { success: Schema.String })
  const Required = HttpApi.make("api").add(HttpApiGroup.make("g").add(endpoint.middleware(auth.require("a"))))
  const Open = HttpApi.make("api").add(HttpApiGroup.make("g").add(endpoint.middleware(OAuth2.Public("it is a test"))))
  const apps = {
    "that requires a token": HttpApiBuilder.layer(Required).pipe(
      Layer.provide(HttpApiBuilder.group(Required, "g", (handlers) => handlers.handle("get", () => subject))),
      Layer.provide([HttpServer.layerServices, authentication])
    ),
    "that is Public": HttpApiBuilder.layer(Open).pipe(
      Layer.provide(HttpApiBuilder.group(Open, "g", (handlers) => handlers.handle("get", () => Effect.succeed("")))),
      Layer.provide([HttpServer.layerServices, authentication])
    )
  }
  for (const [name, App] of Object.entries(apps)) {
    it.effect(`fails with an endpoint ${name}, because its handlers would reuse this request for later ones`, () =>
      Effect.gen(function* () {
        const scope = yield* Effect.scope
        const app = yield* Effect.cached(Effect.provideService(HttpRouter.toHttpEffect(App), Scope.Scope, scope))
        let defect = ""
        const handler = HttpEffect.toWebHandler(
          Effect.tapCause(Effect.flatten(app), (cause) => Effect.sync(() => (defect = Cause.pretty(cause))))
        )
        const get = (headers: Readonly<Record<string, string>>) =>
          Effect.promise(() => handler(new Request("http://localhost/get", { headers })))
        assert.strictEqual((yield* get({ authorization: "Bearer a" })).status, 500)
        assert.include(defect, "An HttpApi is built within a request")
        assert.strictEqual((yield* get({})).status, 500)
      })
    )
  }
})

describe("the response to an error", () => {
  it.effect("cannot be changed by one request for the next refused request", () =>
    Effect.gen(function* () {
      const write = (error: unknown) =>
        Effect.gen(function* () {
          if (!SecurityError.isSecurityError(error)) return
          const { url } = yield* HttpServerRequest.HttpServerRequest
          const { headers } = yield* Challenge.respond(error)
          yield* Effect.ignoreCause(Effect.sync(() => Object.assign(headers, { "x-user": url })))
          yield* Effect.ignoreCause(Effect.sync(() => Reflect.deleteProperty(headers, "www-authenticate")))
        })
      const writing = HttpRouter.middleware(Effect.succeed((handler) => Effect.tapError(handler, write)))
      const send = yield* serve(
        HttpRouter.add("GET", "/*", Effect.succeed(HttpServerResponse.empty())).pipe(
          auth.require("a"),
          Layer.provide(writing.layer),
          Layer.provide(authentication)
        )
      )
      for (const [token, [status, challenge]] of refusals) {
        for (const path of ["/alice", "/bob"]) {
          const answer = yield* send(path, token)
          assert.deepStrictEqual([answer.status, answer.challenge], [status, challenge])
          assert.isNull(answer.headers.get("x-user"))
        }
      }
    })
  )
})

describe("an InsufficientScope error", () => {
  it.effect("is shared by all tokens that lack the same scopes, for the first 64 sets of scopes", () =>
    Effect.gen(function* () {
      const names = ["a", "b", "c", "d", "e", "f", "g"] as const
      const scheme = OAuth2.authorizationCode("OAuth2", {
        ...authorizationServer,
        scopes: { a: "", b: "", c: "", d: "", e: "", f: "", g: "" }
      })
      const subsets = times(2 ** names.length - 1).map((bits) => names.filter((_, i) => bits & (1 << i)))
      const verifier = new Verifier(Object.fromEntries(subsets.map((subset) => [`t${subset.join("")}`, subset])))
      const layer = yield* Layer.build(scheme.layer(verifier.layer))
      const guarded = scheme.prove(...names)(Effect.void)
      const refusals = Effect.forEach(subsets, (subset) =>
        Effect.flip(guarded).pipe(
          Effect.provide(BearerToken.layerTest(`t${subset.join("")}`)),
          Effect.provideContext(layer)
        )
      )
      const before = yield* refusals
      const again = yield* refusals
      assert.deepStrictEqual(
        again.map((error, i) => error === before[i]),
        subsets.map((_, i) => i < 64)
      )
      for (const [i, error] of again.entries()) {
        assert(error._tag === "InsufficientScope")
        assert.deepStrictEqual(
          error.missing,
          names.filter((name) => subsets[i]?.includes(name) !== true)
        )
      }
    })
  )
})

describe("a NotAuthenticated error", () => {
  it.effect("cannot store data of a request, because later requests share the error", () =>
    Effect.gen(function* () {
      const writing = HttpRouter.middleware(
        Effect.succeed((handler) =>
          Effect.tapError(handler, (error) =>
            Effect.sync(() => Object.assign(error as object, { url: "/alice" })).pipe(Effect.ignoreCause)
          )
        )
      )
      const seen: Array<ReadonlyArray<string>> = []
      const scheme = OAuth2.authorizationCode("OAuth2", {
        ...authorizationServer,
        scopes: {},
        renderers: {
          NotAuthenticated: (error) => {
            seen.push(Object.keys(error))
            return HttpServerResponse.empty({ status: 401 })
          }
        }
      })
      const verifier = TokenVerifier.layer({ verify: () => Effect.die("not asked") }).pipe(Layer.orDie)
      const send = yield* serve(
        HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.empty())).pipe(
          scheme.require(),
          Layer.provide(writing.layer),
          Layer.provide(scheme.layer(verifier))
        )
      )
      yield* send("/")
      yield* send("/")
      assert.isNotEmpty(seen)
      for (const names of seen) assert.notInclude(names, "url")
    })
  )
})
