/** Responses of a server whose upstream server refused a request. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { HttpClient, HttpClientResponse, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { OAuth2, SecurityError } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { a: "", b: "" },
  responses: "rfc6750"
})
const authentication = auth.layer(new Verifier({ a: ["a"], b: ["b"] }).layer)

describe("the refusal of an upstream server", () => {
  const billing = OAuth2.clientCredentials("Billing", {
    tokenUrl: authorizationServer.tokenUrl,
    scopes: { charge: "" }
  })
  const Billing = HttpApi.make("billing").add(
    HttpApiGroup.make("g")
      .add(HttpApiEndpoint.get("charge", "/charge", { success: Schema.String }))
      .middleware(billing.require("charge"))
  )
  const upstream = HttpClient.make((request) =>
    Effect.succeed(
      HttpClientResponse.fromWeb(
        request,
        Response.json(
          { detail: "Could not validate credentials" },
          { status: 401, headers: { "www-authenticate": `Bearer scope="charge"` } }
        )
      )
    )
  )
  const charge = Effect.flatMap(
    HttpApiClient.makeWith(Billing, { httpClient: upstream, baseUrl: "https://billing.example.com" }),
    (client) => client.g.charge()
  )

  const error = Schema.Struct({ message: Schema.String }).pipe(HttpApiSchema.status(409))
  const Api = HttpApi.make("api").add(
    HttpApiGroup.make("g")
      .add(HttpApiEndpoint.get("pay", "/api/pay", { success: Schema.String, error }).middleware(auth.require("a")))
      .add(HttpApiEndpoint.get("handed", "/api/handed", { success: Schema.String }).middleware(auth.require("a")))
      .add(
        HttpApiEndpoint.get("open", "/api/open", {
          success: Schema.String,
          error: [error, auth.errors.InvalidToken]
        }).middleware(OAuth2.Public("a test"))
      )
      .add(HttpApiEndpoint.get("plain", "/api/plain", { success: Schema.String, error: auth.errors.InvalidToken }))
  )
  const expired = Effect.orDie(Effect.flip(charge)).pipe(
    Effect.flatMap((error) => (SecurityError.isSecurityError(error) ? Effect.fail(error) : Effect.die(error)))
  )
  const App = Layer.mergeAll(
    HttpApiBuilder.layer(Api).pipe(
      Layer.provide(
        HttpApiBuilder.group(Api, "g", (handlers) =>
          handlers
            .handle("pay", () => expired)
            .handle("handed", () => Effect.catch(expired, auth.refuse))
            .handle("open", () => Effect.catchIf(expired, (error) => error._tag !== "InvalidToken", Effect.die))
            .handle("plain", () => Effect.catchIf(expired, (error) => error._tag !== "InvalidToken", Effect.die))
        )
      ),
      Layer.provide(HttpServer.layerServices)
    ),
    HttpRouter.add("GET", "/route/pay", Effect.map(charge, HttpServerResponse.text)).pipe(auth.require("a"))
  ).pipe(Layer.provide(authentication))

  for (const path of ["/api/pay", "/api/open", "/api/plain", "/route/pay"]) {
    it.effect(`is a defect if the handler does not catch it (${path})`, () =>
      Effect.gen(function* () {
        const send = yield* serve(App as Layer.Layer<never, never, HttpRouter.HttpRouter>)
        const { body, challenge, status } = yield* send(path, "a")
        assert.deepStrictEqual([status, challenge], [500, null])
        assert.notInclude(body, "refused")
      }).pipe(Effect.provide(Logger.layer([])))
    )
  }

  it.effect("can be converted to a refusal of this server with auth.refuse", () =>
    Effect.gen(function* () {
      const send = yield* serve(App as Layer.Layer<never, never, HttpRouter.HttpRouter>)
      const { challenge, status } = yield* send("/api/handed", "a")
      assert.deepStrictEqual([status, challenge], [401, `Bearer error="invalid_token", scope="a"`])
    })
  )
})
