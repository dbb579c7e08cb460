/** This library on `HttpRouter`. */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken } from "../../src/index.ts"
import { open, settings } from "./child.ts"
import { quiet, serveEffect } from "./effect.ts"
import { Authentication, required } from "./ours.ts"

const Open = HttpRouter.add(
  "GET",
  "/open",
  Effect.sync(() => HttpServerResponse.jsonUnsafe(open))
)

const paths = Array.from({ length: settings.routes - 1 }, (_, i) => `/items/${i}` as const)

const Items = HttpRouter.addAll(
  [...paths, "/items" as const].map((path) =>
    HttpRouter.route(
      "GET",
      path,
      Effect.map(AccessToken, ({ subject }) => HttpServerResponse.jsonUnsafe({ subject }))
    )
  )
).pipe(required)

serveEffect(HttpRouter.serve(Layer.mergeAll(Open, Items), quiet).pipe(Layer.provide(Authentication)))
