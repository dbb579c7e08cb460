/** The web handler of the README, and an `HttpApi`. */
import { Effect, Layer, Schema } from "effect"
import { FetchHttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import type { WebHandler } from "./serve.ts"
import { fromContext } from "../../support/contextVerifier.ts"

export const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { me: "Read your profile", admin: "Administer" },
  responses: "rfc6750"
})

const subject = Effect.map(auth.token, (token) => HttpServerResponse.jsonUnsafe({ subject: token.subject }))

export const Api = HttpApi.make("api")
  .add(
    HttpApiGroup.make("profiles")
      .add(HttpApiEndpoint.get("mine", "/api/me", { success: Schema.String }))
      .middleware(auth.require("me"))
  )
  .pipe(OAuth2.secured, OAuth2.openApi)

const Profiles = HttpApiBuilder.group(Api, "profiles", (handlers) =>
  handlers.handle("mine", () => Effect.map(auth.token, (token) => token.subject))
)

export const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/open", HttpServerResponse.text("open")),
  HttpRouter.add("GET", "/users/me", subject).pipe(auth.require("me")),
  HttpRouter.add("GET", "/admin", subject).pipe(auth.require("admin")),
  HttpApiBuilder.layer(Api).pipe(Layer.provide(Profiles))
).pipe(Layer.provide(auth.layer(fromContext)), Layer.provide(HttpServer.layerServices))

export const audience = "https://api.example.com"

/** Verifies the tokens of the issuer with keys that `fetch` gets from it. */
export const handlerFor = (
  issuer: string,
  signatures: Layer.Layer<never> = Layer.empty,
  fetch: typeof globalThis.fetch = globalThis.fetch
): WebHandler =>
  HttpRouter.toWebHandler(
    Routes.pipe(
      Layer.provide(JwtVerifier.layer({ issuer, audience })),
      Layer.provide([FetchHttpClient.layer, Layer.succeed(FetchHttpClient.Fetch, fetch), signatures])
    ),
    { disableLogger: true }
  ).handler
