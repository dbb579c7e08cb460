/** The OpenAPI documents on which the tests run linters and generators, as a server sends them. */
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { OAuth2, OpenApiSecurity, SwaggerUi, TokenVerifier } from "effect-oauth2"
import * as ItemsApi from "../../scratchpad/items-api/Api.ts"
import { auth } from "./apiDocuments.ts"
import { authorizationServer } from "./authorizationServer.ts"
import { App } from "./documentedApp.ts"
import { serve } from "./web.ts"
import { fromContext } from "./contextVerifier.ts"

/** No test of these documents sends a token. */
const noVerifier = TokenVerifier.layer({ verify: () => Effect.die("verifies no token") })

/** Routes without an `HttpApi`, so that the library writes the whole document. */
const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/items/:id", HttpServerResponse.empty()).pipe(
    auth.require("a"),
    Layer.provide(OpenApiSecurity.operation({ summary: "Find", description: "Finds an item.", tags: ["items"] }))
  ),
  HttpRouter.add("GET", "/health", HttpServerResponse.empty()).pipe(
    OAuth2.Public("monitoring tools have no credentials"),
    Layer.provide(OpenApiSecurity.operation({ summary: "Check", description: "Checks the service.", tags: ["items"] }))
  )
).pipe(
  OAuth2.secured,
  OpenApiSecurity.documented(
    {
      info: {
        title: "Routes",
        version: "1",
        description: "Routes without an HttpApi.",
        license: { name: "MIT", url: "https://opensource.org/license/mit" },
        contact: { name: "Support", email: "support@example.com" }
      },
      tags: [{ name: "items", description: "What there is" }]
    },
    (document) => SwaggerUi.layer(document)
  ),
  Layer.provide(auth.layer(fromContext))
)

const apps = {
  "the Items API": ItemsApi.make(authorizationServer, fromContext, "docs"),
  "an app with every kind of requirement": App,
  "routes without an HttpApi": Routes
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly [name: string]: unknown
}

export interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly security?: ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>
  readonly responses: Readonly<Record<string, unknown>>
}

export type AppName = keyof typeof apps

export const names = Object.keys(apps) as ReadonlyArray<AppName>

/** Reads the document of a server from `/openapi.json`. */
export const read = (server: ReturnType<typeof serve>): Promise<Document> =>
  server.pipe(
    Effect.flatMap((send) => send("/openapi.json")),
    Effect.map(({ body }) => JSON.parse(body) as Document),
    Effect.scoped,
    Effect.runPromise
  )

export const documentOf = (name: AppName): Promise<Document> =>
  read(serve(apps[name].pipe(Layer.provide([noVerifier, NodeHttpServer.layerHttpServices]))))
