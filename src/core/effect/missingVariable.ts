/**
 * Says which variable of the configuration is missing. The error of Effect only says that it expected a string.
 *
 * `Config` takes a tenth of the library's load time. If only an error imports its modules, esbuild still wraps every
 * module that they use, which adds 4 kB to the bundle of a client. This module therefore imports only their types.
 */
import type * as Configs from "effect/Config"
import type { ConfigProvider, SourceError } from "effect/ConfigProvider"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"

type Config<A> = Configs.Config<A>
type ConfigError = Configs.ConfigError

const member = (value: unknown, name: string): unknown =>
  isReadonlyObject(value) && Object.hasOwn(value, name) ? value[name] : undefined

/** Returns the path of the first value that the error is about. */
const pathOf = (issue: unknown): ReadonlyArray<string | number> => {
  const path = member(issue, "path")
  const issues = member(issue, "issues")
  const inner = member(issue, "issue") ?? (Array.isArray(issues) ? issues[0] : undefined)
  const own = Array.isArray(path) ? path.filter((part) => typeof part === "string" || typeof part === "number") : []
  return inner === undefined ? own : [...own, ...pathOf(inner)]
}

/** Same tag and fields as Effect's class, whose module is not imported. */
class Missing extends Data.TaggedError("SourceError")<{ readonly message: string }> {}

/** Runs a `Config`. Replaces its error if the error is about a value that the configuration does not have. */
export const nameMissingVariable = <A>(config: Config<A>): Effect.Effect<A, ConfigError> =>
  Effect.suspend(() => {
    let provider: ConfigProvider | undefined
    // A `Config` passes the current provider to its own method `parse`.
    const observed: Config<A> = Object.create(config, {
      parse: {
        value: (current: ConfigProvider) => {
          provider = current
          return config.parse(current)
        }
      }
    })
    return Effect.catch(observed, (error) => {
      const path = pathOf(member(error.cause, "issue"))
      if (provider === undefined || path.length === 0) return Effect.fail(error)
      return Effect.matchEffect(provider.load(path), {
        onFailure: () => Effect.fail(error),
        onSuccess: (found) =>
          Effect.fail(
            found === undefined || (found._tag === "Value" && found.value === "")
              ? missing(path.join("_"), error)
              : error
          )
      })
    })
  })

const missing = (name: string, { constructor }: ConfigError): ConfigError => {
  const cause: SourceError = new Missing({
    message: `The configuration value ${name} is missing or empty. Set the variable ${name}.`
  })
  // Safe cast: the constructor of an error is its class.
  return new (constructor as new (cause: SourceError) => ConfigError)(cause)
}

const isConfig = (value: unknown): value is Config<unknown> => typeof member(value, "parse") === "function"

/** Runs a `Config` like `nameMissingVariable`, and any other effect unchanged. */
export const nameMissingVariableOf = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  // Safe cast: the value and the error are those of the `Config`.
  isConfig(self) ? (nameMissingVariable(self) as never) : self

/** Runs every `Config` of a record, as `Config.unwrap` does. */
export const runAll = <A>(wrapped: Configs.Wrap<A>): Effect.Effect<A, ConfigError> => {
  const run = (value: unknown): Effect.Effect<unknown, ConfigError> =>
    isConfig(value)
      ? nameMissingVariable(value)
      : Effect.map(
          Effect.forEach(Object.entries(value as object), ([name, value]) =>
            Effect.map(run(value), (result) => [name, result] as const)
          ),
          Object.fromEntries
        )
  // Safe cast: `Wrap` has a `Config` in place of each value.
  return run(wrapped) as Effect.Effect<A, ConfigError>
}
