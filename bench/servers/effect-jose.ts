/** Effect's `HttpRouter` and jose, as a developer would write it without this library. */
import { Data, Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { open, settings } from "./child.ts"
import { quiet, serveEffect } from "./effect.ts"
import { verify } from "./jose.ts"

class Unauthorized extends Data.TaggedError("Unauthorized") {}
class Forbidden extends Data.TaggedError("Forbidden") {}

const authorize = Effect.gen(function* () {
  const request = yield* HttpServerRequest.HttpServerRequest
  const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(request.headers["authorization"] ?? "")?.[1]
  if (token === undefined) return yield* new Unauthorized()
  const claims = yield* Effect.tryPromise({ try: () => verify(token), catch: () => new Unauthorized() })
  const granted = typeof claims["scope"] === "string" ? claims["scope"].split(" ") : []
  if (!settings.scopes.every((scope) => granted.includes(scope))) return yield* new Forbidden()
  return claims
})

const Open = HttpRouter.add(
  "GET",
  "/open",
  Effect.sync(() => HttpServerResponse.jsonUnsafe(open))
)

const Items = HttpRouter.add(
  "GET",
  "/items",
  Effect.gen(function* () {
    const claims = yield* authorize
    return HttpServerResponse.jsonUnsafe({ subject: claims.sub })
  }).pipe(
    Effect.catchTags({
      Unauthorized: () =>
        Effect.succeed(
          HttpServerResponse.jsonUnsafe(
            { error: "unauthorized" },
            { status: 401, headers: { "www-authenticate": "Bearer" } }
          )
        ),
      Forbidden: () => Effect.succeed(HttpServerResponse.jsonUnsafe({ error: "forbidden" }, { status: 403 }))
    })
  )
)

serveEffect(HttpRouter.serve(Layer.mergeAll(Open, Items), quiet))
