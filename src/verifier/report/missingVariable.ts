/**
 * Says which variable of the configuration is missing. The error of Effect only says that it expected a string.
 *
 * `Config` takes a tenth of the library's load time, so its modules are imported when an error needs them.
 */
import * as Effect from "effect/Effect"
import { isReadonlyObject } from "effect/Predicate"

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

/** Replaces the error of a `Config` if it is about a value that the configuration does not have. */
export const nameMissingVariable = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.catch(self, (error) => {
    const path = member(error, "_tag") === "ConfigError" ? pathOf(member(member(error, "cause"), "issue")) : []
    return path.length === 0 ? Effect.fail(error) : Effect.flatMap(missingAt(path, error), Effect.fail)
  })

const missingAt = Effect.fnUntraced(function* <E>(path: ReadonlyArray<string | number>, error: E) {
  const [{ ConfigError }, { ConfigProvider, SourceError }] = yield* Effect.promise(() =>
    Promise.all([import("effect/Config"), import("effect/ConfigProvider")])
  )
  const found = yield* Effect.orElseSucceed((yield* ConfigProvider).load(path), () => undefined)
  if (found !== undefined && (found._tag !== "Value" || found.value !== "")) return error
  const name = path.join("_")
  // Safe cast: the error was a `ConfigError`, too.
  return new ConfigError(
    new SourceError({ message: `The configuration value ${name} is missing or empty. Set the variable ${name}.` })
  ) as E
})
