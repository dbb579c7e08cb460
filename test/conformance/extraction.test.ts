/** Extracts bearer tokens from the `Authorization` header as FastAPI does. */
import { describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as code from "./apps/oauth2_authorization_code_bearer.ts"
import { assertJson, assertUnauthorized, get, serve } from "./Wire.ts"

const variants = {
  "with a requirement": serve(code.App),
  "with an extracted token": serve(code.Extracted),
  "with authentication as a layer": serve(code.Layered)
}

describe("an app that extracts tokens like FastAPI", () => {
  for (const [variant, server] of Object.entries(variants)) {
    layer(server)(variant, (it) => {
      it.effect.each([
        ["Bearer a", "a"],
        ["bearer a", "a"],
        ["BEARER a", "a"],
        ["Bearer  a", "a"],
        ["Bearer a ", "a"],
        [" Bearer a", "a"],
        ["Bearer \ta\t", "a"],
        ["Bearer \u00A0a\u00A0", "a"],
        ["Bearer a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="]
      ] as const)("finds in the header %j the token %j", ([field, token]) =>
        Effect.gen(function* () {
          assertJson(yield* get("/items/", field), 200, { token })
        })
      )

      it.effect.each([
        "",
        " ",
        "a",
        "Basic a",
        "Bearers a",
        "Bearer\ta",
        "Bearer\t a",
        "Basic a, Bearer a",
        "Non-existent a"
      ])("finds no bearer token in the header %j", (field) =>
        Effect.gen(function* () {
          assertUnauthorized(yield* get("/items/", field), "Not authenticated", "Bearer")
        })
      )

      it.effect("ignores a token in the query", () =>
        Effect.gen(function* () {
          assertUnauthorized(yield* get("/items/?access_token=a"), "Not authenticated", "Bearer")
        })
      )
    })
  }
})
