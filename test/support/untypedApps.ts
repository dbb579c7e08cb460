/** Apps without types. Their mistakes would not compile with types. */
import { Context, Effect, Layer, Logger, Option, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { AccessToken, BearerToken, OAuth2, OptionalAccessToken, SecurityScopes, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"
import { Verifier, verified } from "./TestVerifier.ts"
import { serve } from "./web.ts"
import { fromContext } from "./contextVerifier.ts"

export const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })
export const other = OAuth2.authorizationCode("Other", { ...authorizationServer, scopes: { a: "", b: "" } })

export const verifier = () => new Verifier({ none: [], a: ["a"], b: ["b"], ab: ["a", "b"], mallory: ["a"] })

// The mistakes under test do not compile, so an app needs no services here.
export type App = Layer.Layer<never, never, any>
export type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse>

export const erase = (layer: unknown) => layer as App

export const cast = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect as Effect.Effect<A>

/** A handler whose response requires a token with the scope `a`. */
export const secret: Handler = cast(
  Effect.map(auth.granted("a"), (token) => HttpServerResponse.text(`the secret of ${token.subject}`))
)

/** A handler whose response requires a token of the scheme. */
export const own: Handler = cast(
  Effect.map(auth.token, (token) => HttpServerResponse.text(`the token of ${token.subject}`))
)

export const secretless: Handler = Effect.succeed(HttpServerResponse.text("an answer"))

export interface Endpoint {
  readonly path: `/${string}`
  readonly requirement?: { readonly route: { readonly layer: unknown } }
  readonly handler: Handler
}

interface Stub {
  readonly place: string
  readonly layer: App
}

interface Adapter {
  /** The places where a test can provide a stub. */
  readonly places: ReadonlyArray<string>
  readonly make: (endpoints: ReadonlyArray<Endpoint>, stub?: Stub) => App
}

const at = (place: string, stub: Stub | undefined) => (stub?.place === place ? stub.layer : undefined)

export const provide = (layer: App | undefined) => (app: App) => (layer === undefined ? app : Layer.provide(app, layer))

export const provideRequest = (layer: App | undefined) => (app: App) =>
  layer === undefined ? app : erase(HttpRouter.provideRequest(layer)(app))

const inHandler = (handler: Handler, stub: Stub | undefined): Handler =>
  stub?.place === "the handler" ? cast(Effect.provide(handler, stub.layer)) : handler

export const router: Adapter = {
  places: [
    "the handler",
    "inside of the requirement",
    "outside of the requirement",
    "the requirement's layer",
    "the route's layer",
    "the server"
  ],
  make: (endpoints, stub) =>
    Layer.mergeAll(
      Layer.empty,
      ...endpoints.map(({ handler, path, requirement }): App => {
        const layer = requirement?.route.layer as App | undefined
        return HttpRouter.add("GET", path, inHandler(handler, stub)).pipe(
          provideRequest(at("inside of the requirement", stub)),
          provide(layer?.pipe(provide(at("the requirement's layer", stub)))),
          provideRequest(at("outside of the requirement", stub)),
          provide(at("the route's layer", stub))
        )
      }),
      at("the server", stub) ?? Layer.empty
    ) as App
}

export class Inside extends HttpApiMiddleware.Service<Inside>()("test/Inside") {}
class Outside extends HttpApiMiddleware.Service<Outside>()("test/Outside") {}

export const api: Adapter = {
  places: [
    "the handler",
    "inside of the requirement",
    "outside of the requirement",
    "the group's layer",
    "the api's layer",
    "the api's requests",
    "the server"
  ],
  make: (endpoints, stub) => {
    const group = endpoints.reduce<any>((group, { path, requirement }) => {
      const endpoint = HttpApiEndpoint.get(path, path, { success: Schema.String }).middleware(Inside)
      return group.add(
        (requirement === undefined ? endpoint : endpoint.middleware(requirement as any)).middleware(Outside)
      )
    }, HttpApiGroup.make("group"))
    const Api: any = HttpApi.make("api").add(group)
    const middleware = (place: string) => {
      const layer = at(place, stub)
      return (effect: Effect.Effect<any, any, any>) => (layer === undefined ? effect : Effect.provide(effect, layer))
    }
    const Group: App = erase(
      HttpApiBuilder.group(Api, "group", (handlers) =>
        endpoints.reduce<any>(
          (handlers, { handler, path }) => handlers.handle(path, () => inHandler(handler, stub)),
          handlers
        )
      ).pipe(
        Layer.provide([
          Layer.succeed(Inside, middleware("inside of the requirement")),
          Layer.succeed(Outside, middleware("outside of the requirement"))
        ])
      )
    )
    return Layer.merge(
      HttpApiBuilder.layer(Api).pipe(
        Layer.provide(Group.pipe(provide(at("the group's layer", stub)))),
        Layer.provide(HttpServer.layerServices),
        provideRequest(at("the api's requests", stub)),
        provide(at("the api's layer", stub))
      ),
      at("the server", stub) ?? Layer.empty
    ) as App
  }
}

export const adapters = { HttpRouter: router, HttpApi: api }

/** Serves an app and collects its log messages. */
export const serveWithLog = Effect.fnUntraced(function* (
  app: App,
  tokens: Layer.Layer<TokenVerifier> = verifier().layer
) {
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
    log.push(`${logLevel} ${String(message)}`)
  })
  const send = yield* serve(
    app.pipe(
      Layer.provide([auth.layer(fromContext), other.layer(fromContext)]),
      Layer.provide(tokens),
      Layer.merge(Logger.layer([logger]))
    ) as App
  )
  return { send, log }
})

export const reference = (key: string) => Context.Reference<unknown>(key, { defaultValue: () => undefined })

export const stubToken = verified("stub", ["a", "b"])

export const stubs: Readonly<Record<string, App>> = {
  BearerToken: BearerToken.layerTest("ab"),
  AccessToken: Layer.succeed(AccessToken, stubToken),
  OptionalAccessToken: Layer.succeed(OptionalAccessToken, Option.some(stubToken)),
  SecurityScopes: Layer.succeed(SecurityScopes, { scopes: [], scopeStr: "" }),
  "a grant": auth.layerTestGranted({ subject: "stub", scopes: ["a", "b"] }),
  "a proof that looks like one": Layer.succeed(reference("effect-oauth2/OAuth2/OAuth2/Proof"), {
    scheme: auth,
    origin: { request: undefined },
    token: stubToken,
    scopes: new Set(["a", "b"])
  }),
  "a decision that looks like one": Layer.succeed(reference("effect-oauth2/Decision"), {
    origin: { request: undefined }
  }),
  "an authentication that looks like one": Layer.succeed(
    reference("effect-oauth2/OAuth2/OAuth2"),
    Object.assign((effect: unknown) => effect, { authenticator: { fromRequest: () => ({ verified: stubToken }) } })
  )
}
