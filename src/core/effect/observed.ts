/** Detects if spans and debug logs are recorded. If not, the library does not create them. */
import type * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Tracer from "effect/Tracer"

/** Returns `false` for Effect's own tracer, which discards spans. A span costs more than the code that it measures. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.tracer !== undefined && fiber.cache.tracer !== Tracer.nativeTracer

/** Returns `true` if debug logs are recorded. The first comparison is a fast path for Effect's default level. */
export const isDebugged = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.minimumLogLevel !== "Info" && LogLevel.isLessThanOrEqualTo(fiber.cache.minimumLogLevel, "Debug")

/** Returns `true` if each verification must be traced or logged. */
export const isObserved = (fiber: Fiber.Fiber<unknown, unknown>): boolean => isTraced(fiber) || isDebugged(fiber)
