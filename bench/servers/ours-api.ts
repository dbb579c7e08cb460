/** This library on `HttpApi`. */
import { Effect, Layer, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { AccessToken } from "../../src/index.ts"
import { open, settings } from "./child.ts"
import { quiet, serveEffect } from "./effect.ts"
import { Authentication, required } from "./ours.ts"

const Subject = Schema.Struct({ subject: Schema.String })

const endpoint = (name: string) => HttpApiEndpoint.get(name, `/${name}`, { success: Subject }).middleware(required)

const more = Array.from({ length: settings.routes - 1 }, (_, i) => `items/${i}`)

const Api = HttpApi.make("bench").add(
  HttpApiGroup.make("public").add(HttpApiEndpoint.get("open", "/open", { success: Subject })),
  HttpApiGroup.make("items").add(endpoint("items"), ...more.map(endpoint))
)

const Public = HttpApiBuilder.group(Api, "public", (handlers) => handlers.handle("open", () => Effect.succeed(open)))

const Items = HttpApiBuilder.group(Api, "items", (handlers) =>
  handlers.handleAll(
    Object.fromEntries(
      ["items", ...more].map((name) => [name, () => Effect.map(AccessToken, ({ subject }) => ({ subject }))])
    )
  )
)

const App = HttpApiBuilder.layer(Api).pipe(Layer.provide([Public, Items]), Layer.provide(Authentication))

serveEffect(HttpRouter.serve(App, quiet))
