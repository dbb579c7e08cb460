/** A public route and the documentation page, with the options of three FastAPI apps. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SwaggerUi } from "effect-oauth2"

const make = (options: SwaggerUi.Options) =>
  Layer.merge(
    HttpRouter.add("GET", "/items/", Effect.succeed(HttpServerResponse.jsonUnsafe({ id: "foo" }))),
    SwaggerUi.layer({ openapi: "3.1.0", info: { title: "FastAPI" } }, options)
  )

export const InitOAuth = make({ initOAuth: { clientId: "the-foo-clients", appName: "The Predendapp" } })

export const NoRedirect = make({ oauth2RedirectPath: false })

export const CustomRedirect = make({ oauth2RedirectPath: "/docs/redirect" })
