/** Expectations of this library about `Config`. Read these tests first if a new release of Effect fails. */
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect } from "effect"
import { nameMissingVariable, nameMissingVariableOf } from "../../../src/core/effect/missingVariable.ts"

const withEnv = (env: Record<string, string>) =>
  Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

const missing = (name: string) => `The configuration value ${name} is missing or empty. Set the variable ${name}.`

describe("a Config", () => {
  it("passes the current provider to its own method parse, and the class of its error is reachable", () => {
    const error = Effect.runSync(nameMissingVariable(Config.String("A")).pipe(Effect.flip, withEnv({})))
    assert.instanceOf(error, Config.ConfigError)
    assert.strictEqual(error.cause._tag, "SourceError")
    assert.include(error.message, missing("A"))
  })

  it("names the first missing variable of several, and nested and literal ones", () => {
    const both = Config.all({ a: Config.String("A"), b: Config.Boolean("B") })
    for (const [config, name] of [
      [both, "B"],
      [Config.nested(both, "N"), "N_B"],
      [Config.map(both, ({ a }) => a), "B"]
    ] as const) {
      const error = Effect.runSync(
        nameMissingVariable<unknown>(config).pipe(Effect.flip, withEnv({ A: "1", N_A: "1" }))
      )
      assert.include(error.message, missing(name))
    }
  })

  it("keeps the error of Effect if the variable has a value, or if the source fails", () => {
    const invalid = Effect.runSync(nameMissingVariable(Config.Int("A")).pipe(Effect.flip, withEnv({ A: "x" })))
    assert.strictEqual(invalid.cause._tag, "SchemaError")
    const broken = ConfigProvider.make(() => Effect.fail(new ConfigProvider.SourceError({ message: "no file" })))
    const error = Effect.runSync(
      nameMissingVariable(Config.String("A")).pipe(
        Effect.flip,
        Effect.provideService(ConfigProvider.ConfigProvider, broken)
      )
    )
    assert.include(error.message, "no file")
  })

  it("is told from any other effect, which runs unchanged", () => {
    const other = Effect.fail("other")
    assert.strictEqual(nameMissingVariableOf(other), other)
    const error = Effect.runSync(nameMissingVariableOf(Config.String("A")).pipe(Effect.flip, withEnv({})))
    assert.include(error.message, missing("A"))
    assert.strictEqual(Effect.runSync(nameMissingVariableOf(Config.String("A")).pipe(withEnv({ A: "1" }))), "1")
  })
})
