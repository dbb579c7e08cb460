/** An app with requirements for all routes, for groups and for single routes, and with routes outside of them. */
import { Effect, Layer, type Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { OAuth2, SecurityScopes, TokenVerifier } from "effect-oauth2"
import { scopesInToken } from "./tokens.ts"
import { fromContext } from "../../support/contextVerifier.ts"

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
  HttpRouter.add("GET", "/group/route", scopes).pipe(auth.require("route")),
  HttpRouter.add("GET", "/group/sibling", scopes).pipe(auth.require("other")),
  HttpRouter.add("GET", "/group/again", scopes).pipe(auth.require("group", "app")),
  HttpRouter.add("GET", "/group/guest", scopes).pipe(auth.optional("other")),
  CreateItem.pipe(auth.require("route"))
).pipe(auth.require("group"))

const Nested = HttpRouter.add("GET", "/nested", scopes.pipe(SecurityScopes.require("other", "app")))

const Inside = Layer.mergeAll(Group, Nested).pipe(auth.require("app"))

const Guest = HttpRouter.add("GET", "/guest", scopes).pipe(auth.optional("app"))

/** Calls `trace` when the verification, the handler of `/ordered`, or a middleware around a requirement runs. */
export const make = (trace: (what: string) => void) => {
  const traced = (what: string) =>
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
  ).pipe(Layer.provide(traced("inside")), auth.require("app"), Layer.provide(traced("outside")))

  const Between = HttpRouter.add("GET", "/between", scopes).pipe(
    auth.require("route"),
    Layer.provide(traced("between")),
    auth.require("app")
  )

  return Layer.mergeAll(Inside, Ordered, Between, Guest, HttpRouter.add("GET", "/open", scopes)).pipe(
    Layer.provide(auth.layer(fromContext)),
    Layer.provide(scopesInToken(() => trace("verify")))
  )
}

const partner = OAuth2.authorizationCode("Partner", { ...urls, scopes: { partner: "" } })

/** Verifier that grants only one scope. It simulates two issuers that each grant the scopes of one scheme. */
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
  partner.require("partner"),
  auth.require("app"),
  Layer.provide([auth.layer(onlyOf("app")), partner.layer(onlyOf("partner"))]),
  Layer.provide(scopesInToken())
)
