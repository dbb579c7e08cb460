/** Creates metric counters that cost one addition per event. */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

type Metrics = Map<string, Counter>

export interface Counter {
  count: number
}

const registries = new WeakMap<object, Metrics>()

/**
 * Returns the counter of a metric with these attributes. Code that shares a metric registry shares the counter. Effect
 * reads `count` only when it takes a snapshot of all metrics.
 */
export const make = (
  metric: Metric.Counter<number>,
  attributes: Readonly<Record<string, string>>,
  context: Context.Context<never>
): Counter => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const counters: Metrics = registries.get(registry) ?? new Map()
  registries.set(registry, counters)
  const key = JSON.stringify([metric.id, attributes])
  const registered = counters.get(key)
  if (registered !== undefined) return registered
  const counter: Counter = { count: 0 }
  counters.set(key, counter)
  Metric.registerUnsafe(Metric.withAttributes(metric, attributes), context, {
    get: () => ({ count: counter.count, incremental: true }),
    update: () => {},
    modify: () => {}
  })
  return counter
}
