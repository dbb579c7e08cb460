/** Requirements of an app, of its groups, and of their routes; and one route outside the app. */
import { Effect, Layer, type Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { OAuth2, SecurityScopes, TokenVerifier } from "effect-oauth2"
import { scopesInToken } from "./tokens.ts"

const urls = { authorizationUrl: "authorize", tokenUrl: "token" }

const auth = OAuth2.authorizationCode("OAuth2", { ...urls, scopes: { app: "", group: "", route: "", other: "" } })

const scopes = Effect.map(SecurityScopes, (required) => HttpServerResponse.jsonUnsafe({ ...required }))

const CreateItem = HttpRouter.add(
  "POST",
  "/group/items/:id",
  Effect.gen(function* () {
    const { id } = yield* HttpRouter.schemaPathParams(Schema.Struct({ id: Schema.FiniteFromString }))
    const { name } = yield* HttpServerRequest.schemaBodyJson(Schema.Struct({ name: Schema.NonEmptyString }))
    return HttpServerResponse.jsonUnsafe({ id, name }, { status: 201 })
  })
)

const Group = Layer.mergeAll(
  HttpRouter.add("GET", "/group", scopes),
  HttpRouter.add("GET", "/group/route", scopes).pipe(Layer.provide(auth.require("route").route.layer)),
  HttpRouter.add("GET", "/group/sibling", scopes).pipe(Layer.provide(auth.require("other").route.layer)),
  HttpRouter.add("GET", "/group/again", scopes).pipe(Layer.provide(auth.require("group", "app").route.layer)),
  HttpRouter.add("GET", "/group/guest", scopes).pipe(Layer.provide(auth.optional("other").route.layer)),
  CreateItem.pipe(Layer.provide(auth.require("route").route.layer))
).pipe(Layer.provide(auth.require("group").route.layer))

const Nested = HttpRouter.add("GET", "/nested", scopes.pipe(SecurityScopes.require("other", "app")))

const Inside = Layer.mergeAll(Group, Nested).pipe(Layer.provide(auth.require("app").route.layer))

const Guest = HttpRouter.add("GET", "/guest", scopes).pipe(Layer.provide(auth.optional("app").route.layer))

/** `trace` is told what runs: the verification, the handler, and a middleware on either side of a requirement. */
export const make = (trace: (what: string) => void) => {
  const told = (what: string) =>
    HttpRouter.middleware((handler) =>
      Effect.andThen(
        Effect.sync(() => trace(what)),
        handler
      )
    ).layer
  const Ordered = HttpRouter.add(
    "GET",
    "/ordered",
    Effect.sync(() => {
      trace("handler")
      return HttpServerResponse.jsonUnsafe({})
    })
  ).pipe(Layer.provide(told("inside")), Layer.provide(auth.require("app").route.layer), Layer.provide(told("outside")))

  const Between = HttpRouter.add("GET", "/between", scopes).pipe(
    Layer.provide(auth.require("route").route.layer),
    Layer.provide(told("between")),
    Layer.provide(auth.require("app").route.layer)
  )

  return Layer.mergeAll(Inside, Ordered, Between, Guest, HttpRouter.add("GET", "/open", scopes)).pipe(
    Layer.provide(auth.layer),
    Layer.provide(scopesInToken(() => trace("verify")))
  )
}

const partner = OAuth2.authorizationCode("Partner", { ...urls, scopes: { partner: "" } })

/** Each scheme's own verifier finds its own scopes only in a token, as two issuers would. */
const onlyOf = (scope: string) =>
  Layer.effect(
    TokenVerifier,
    Effect.map(TokenVerifier, ({ invalidate, verify }) => ({
      invalidate,
      verify: (token: Redacted.Redacted) =>
        Effect.map(verify(token), (verified) => ({
          ...verified,
          scopes: new Set([...verified.scopes].filter((granted) => granted === scope))
        }))
    }))
  )

export const twoSchemes = HttpRouter.add("GET", "/", HttpServerResponse.jsonUnsafe({})).pipe(
  Layer.provide(partner.require("partner").route.layer),
  Layer.provide(auth.require("app").route.layer),
  Layer.provide([Layer.provide(auth.layer, onlyOf("app")), Layer.provide(partner.layer, onlyOf("partner"))]),
  Layer.provide(scopesInToken())
)
