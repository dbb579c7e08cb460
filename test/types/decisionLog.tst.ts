// The type of a log of decisions: what it receives, and which effects it may return.
import { Context, Effect, Layer } from "effect"
import { type Decision, DecisionLog, OAuth2 } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth } from "./support.ts"

type Log = Context.Service.Shape<typeof DecisionLog>

class Database extends Context.Service<Database, { readonly insert: (row: Decision) => Effect.Effect<void, Error> }>()(
  "test/Database"
) {}

describe("DecisionLog", () => {
  test("receives a decision, and returns an effect that may fail", () => {
    expect<Log>().type.toBe<(decision: Decision) => Effect.Effect<void, unknown>>()
    expect<(decision: Decision) => Effect.Effect<void, Error>>().type.toBeAssignableTo<Log>()
  })

  test("does not compile if its effect needs a service", () => {
    expect((decision: Decision) =>
      Effect.flatMap(Database, ({ insert }) => insert(decision))
    ).type.not.toBeAssignableTo<Log>()
  })

  test("gets its services from its layer", () => {
    const layer = Layer.effect(
      DecisionLog,
      Effect.map(Database, ({ insert }) => insert)
    )
    expect(layer).type.toBe<Layer.Layer<never, never, Database>>()
  })

  test("adds no service to the layer of a scheme, and no token to a decision", () => {
    const log = Layer.succeed(DecisionLog, () => Effect.void)
    const layer = auth.layerTest("anonymous")
    expect(layer.pipe(Layer.provide(log))).type.toBe<typeof layer>()
    expect<Extract<keyof Decision, "token">>().type.toBe<never>()
  })
})

describe("OAuth2.describe", () => {
  test("takes requirements only", () => {
    expect(OAuth2.describe(auth.require("me"))).type.toBe<string>()
    expect(OAuth2.describe(OAuth2.either(auth.require("me"), auth.optional()))).type.toBe<string>()
    // @ts-expect-error Property '"~effect-oauth2/SecurityRequirement"' is missing in type 'Public'
    OAuth2.describe(OAuth2.Public("a reason"))
    // @ts-expect-error is not assignable to parameter of type
    OAuth2.describe("me")
  })
})
