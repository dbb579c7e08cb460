/** Counts for a metric by an addition. */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"

type Metrics = Map<string, Counter>

export interface Counter {
  count: number
}

const registries = new WeakMap<object, Metrics>()

/**
 * A counter of the metric, which is read when metrics are: counting is an addition. The same metric with the same attributes is the same counter in all that
 * is built with one registry.
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
  const known = counters.get(key)
  if (known !== undefined) return known
  const counter: Counter = { count: 0 }
  counters.set(key, counter)
  Metric.registerUnsafe(Metric.withAttributes(metric, attributes), context, {
    get: () => ({ count: counter.count, incremental: true }),
    update: () => {},
    modify: () => {}
  })
  return counter
}
