/** A collector of OpenTelemetry that keeps what it receives. Use a real collector in production. */
import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Ref, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { createServer } from "node:http"
import { host } from "../support/Addresses.ts"

const Attribute = Schema.Struct({
  key: Schema.String,
  value: Schema.Struct({ stringValue: Schema.optionalKey(Schema.String) })
})

const Traces = Schema.Struct({
  resourceSpans: Schema.Array(
    Schema.Struct({
      scopeSpans: Schema.Array(
        Schema.Struct({
          spans: Schema.Array(Schema.Struct({ name: Schema.String, attributes: Schema.Array(Attribute) }))
        })
      )
    })
  )
})

const Point = Schema.Struct({
  attributes: Schema.Array(Attribute),
  asInt: Schema.optionalKey(Schema.Union([Schema.String, Schema.Number])),
  asDouble: Schema.optionalKey(Schema.Number)
})

const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(
    Schema.Struct({
      scopeMetrics: Schema.Array(
        Schema.Struct({
          metrics: Schema.Array(
            Schema.Struct({
              name: Schema.String,
              sum: Schema.optionalKey(Schema.Struct({ dataPoints: Schema.Array(Point) }))
            })
          )
        })
      )
    })
  )
})

/** Prints `name=value` for each attribute of the library. */
const describe = (attributes: ReadonlyArray<typeof Attribute.Type>) =>
  attributes
    .flatMap(({ key, value }) => (value.stringValue === undefined ? [] : [`${key}=${value.stringValue}`]))
    .toSorted()
    .join(" ")

export class Collector extends Context.Service<
  Collector,
  {
    /** One line for each span, with its path and the attributes of this library. */
    readonly spans: Effect.Effect<ReadonlyArray<string>>
    /** One line for each count of this library. */
    readonly counts: Effect.Effect<ReadonlyArray<string>>
    /** Everything as it was received. */
    readonly text: Effect.Effect<string>
  }
>()("observability/Collector") {
  /** Listens on a port. */
  static readonly layer = (port: number) =>
    Layer.effect(
      Collector,
      Effect.gen(function* () {
        const traces = yield* Ref.make<ReadonlyArray<string>>([])
        const metrics = yield* Ref.make<ReadonlyArray<string>>([])
        const logs = yield* Ref.make<ReadonlyArray<string>>([])
        const receive = (path: `/${string}`, bodies: Ref.Ref<ReadonlyArray<string>>) =>
          HttpRouter.add(
            "POST",
            path,
            Effect.gen(function* () {
              const body = yield* (yield* HttpServerRequest.HttpServerRequest).text
              yield* Ref.update(bodies, (bodies) => [...bodies, body])
              return HttpServerResponse.jsonUnsafe({})
            })
          )
        const Routes = Layer.mergeAll(
          receive("/v1/traces", traces),
          receive("/v1/metrics", metrics),
          receive("/v1/logs", logs)
        )
        yield* Layer.build(
          HttpRouter.serve(Routes, { disableLogger: true, disableListenLog: true }).pipe(
            Layer.provide(NodeHttpServer.layer(createServer, { port, host }))
          )
        )
        const decoded = <A>(bodies: Ref.Ref<ReadonlyArray<string>>, schema: Schema.Decoder<A>) => {
          const decode = Schema.decodeUnknownSync(Schema.fromJsonString(schema))
          return Effect.map(Ref.get(bodies), (bodies) => bodies.map((body) => decode(body)))
        }
        return {
          spans: Effect.map(decoded(traces, Traces), (all) =>
            all
              .flatMap(({ resourceSpans }) => resourceSpans)
              .flatMap(({ scopeSpans }) => scopeSpans)
              .flatMap(({ spans }) => spans)
              .map(({ attributes, name }) =>
                `${name} ${describe(attributes.filter(({ key }) => /^oauth2[.]|^url[.]path$/.test(key)))}`.trim()
              )
          ),
          counts: Effect.map(decoded(metrics, Metrics), (all) =>
            // Each export has the totals so far, so the last one is enough.
            all
              .slice(-1)
              .flatMap(({ resourceMetrics }) => resourceMetrics)
              .flatMap(({ scopeMetrics }) => scopeMetrics)
              .flatMap(({ metrics }) => metrics)
              .filter(({ name }) => name.startsWith("oauth2_"))
              .flatMap(({ name, sum }) =>
                (sum?.dataPoints ?? []).map(
                  ({ asDouble, asInt, attributes }) => `${name} ${describe(attributes)} = ${asInt ?? asDouble}`
                )
              )
              .toSorted()
          ),
          text: Effect.map(Effect.all([traces, metrics, logs].map(Ref.get)), (all) => all.flat().join("\n"))
        }
      })
    )
}
