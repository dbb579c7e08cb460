import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** Whether anybody listens: Effect's own tracer has nobody to tell, and a span costs more than what it would measure. */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.cache.tracer !== undefined && fiber.cache.tracer !== Tracer.nativeTracer
