/** Whether somebody listens to spans and logs: where nobody does, none is made. */
import type * as Fiber from "effect/Fiber"
import * as LogLevel from "effect/LogLevel"
import * as Tracer from "effect/Tracer"

/** Whether anybody listens: Effect's own tracer has nobody to tell, and a span costs more than what it would measure. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.tracer !== undefined && fiber.cache.tracer !== Tracer.nativeTracer

/** Whether what is told at the level Debug is heard. By default it is not. */
export const isDebugged = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.minimumLogLevel !== "Info" && LogLevel.isLessThanOrEqualTo(fiber.cache.minimumLogLevel, "Debug")

/** Whether anybody is to be told of each verification. */
export const isObserved = (fiber: Fiber.Fiber<unknown, unknown>): boolean => isTraced(fiber) || isDebugged(fiber)
