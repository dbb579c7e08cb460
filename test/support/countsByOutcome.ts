/** Counts token verifications and cache lookups by outcome. */
import { Effect, Metric } from "effect"

/** Reads the counters `oauth2_token_*` from the metrics. Outcomes with a count of 0 are left out. */
export const countsByOutcome = Effect.map(Metric.snapshot, (metrics) =>
  Object.fromEntries(
    metrics.flatMap(({ attributes, id, state }) =>
      id.startsWith("oauth2_token_") && "count" in state && state.count !== 0
        ? [[attributes?.["outcome"], state.count]]
        : []
    )
  )
)
