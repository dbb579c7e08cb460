/**
 * Step-up authentication with a real authorization server: a client signs in with a password, the API asks for a second
 * factor and for a scope, and one trip to the authorization server cures both.
 */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer, Option, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { JwtVerifier, OAuth2, Requirement, SecurityError } from "effect-oauth2"
import { audience, AuthorizationServer } from "./AuthorizationServer.ts"
import { makeBrowser, requestFor } from "./Client.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "/auth",
  tokenUrl: "/token",
  scopes: { "payments:read": "Read payments", "payments:write": "Make payments" }
})

const strong = Requirement.acr("mfa")
const recently = Requirement.authenticatedWithin("5 minutes")

const Api = OAuth2.secured(
  HttpApi.make("payments").add(
    HttpApiGroup.make("payments")
      .add(
        HttpApiEndpoint.get("list", "/payments", { success: Schema.String }).middleware(auth.require("payments:read"))
      )
      .add(
        HttpApiEndpoint.post("pay", "/payments", { success: Schema.String }).middleware(
          auth.require("payments:write", strong, recently)
        )
      )
  )
)

// The domain code demands the authentication. It does not compile without the requirement above.
const pay = Effect.map(
  auth.granted("payments:write", strong, recently),
  ({ acr, subject }) => `${subject} paid, signed in with ${Option.getOrElse(acr, () => "nothing")}`
)

const Handlers = HttpApiBuilder.group(Api, "payments", (handlers) =>
  handlers.handle("list", () => Effect.succeed("no payments")).handle("pay", () => pay)
)

const Authentication = Layer.unwrap(
  Effect.map(AuthorizationServer, ({ issuer }) => auth.layer(JwtVerifier.layer({ issuer, audience })))
).pipe(Layer.provide(FetchHttpClient.layer))

const Server = HttpRouter.serve(
  HttpApiBuilder.layer(Api).pipe(Layer.provide(Handlers), Layer.provide(Authentication)),
  {
    disableLogger: true,
    disableListenLog: true
  }
).pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(AuthorizationServer.layer))

/** Calls the API with a token. */
const client = (token: string) =>
  Effect.map(
    HttpApiClient.make(Api, { transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token)) }),
    ({ payments }) => payments
  ).pipe(Effect.provide(auth.client("anonymous")))

/** Tells `print` what the client does and receives. */
export const program = (print: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const { issuer } = yield* AuthorizationServer
    const browser = makeBrowser(issuer)
    const scope = "openid offline_access payments:read"
    const first = yield* browser.signIn({ scope })
    yield* print(`with a password, list: ${yield* (yield* client(first.access_token)).list()}`)

    const refused = yield* Effect.flip((yield* client(first.access_token)).pay())
    if (!(refused instanceof SecurityError.InsufficientUserAuthentication)) return yield* Effect.die(refused)
    yield* print(`with a password, pay: ${refused.challenge}`)

    const refreshed = yield* browser.refresh(first.refresh_token)
    const again = yield* Effect.flip((yield* client(refreshed.access_token)).pay())
    yield* print(`with a refreshed token, pay: ${again._tag}`)

    const request = requestFor(refused, scope)
    yield* print(`the client asks for: ${new URLSearchParams({ ...request }).toString()}`)
    const second = yield* browser.signIn(request)
    yield* print(`after the step-up, pay: ${yield* (yield* client(second.access_token)).pay()}`)
  }).pipe(Effect.provide(Server))
