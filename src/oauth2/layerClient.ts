/** Creates the layer that adds the credential of a scheme to the requests of typed clients. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type { Scheme } from "../guard/scheme/scheme.ts"

type Next = (request: unknown) => Effect.Effect<unknown, unknown, unknown>

/** The argument of a client middleware of `HttpApi` or of `effect/rpc`. */
interface Options {
  readonly request: HttpClientRequest.HttpClientRequest | { readonly headers: Headers.Headers }
  readonly next: Next
}

/** Returns the header of the scheme's credential, and the text before the credential. */
const headerOf = ({ name, source }: Scheme): readonly [name: string, prefix: string] => {
  if (source === undefined) return ["authorization", "Bearer "]
  const { header } = source
  if (header !== undefined && header !== "authorization") return [header, ""]
  throw new TypeError(
    `layerClient of ${JSON.stringify(name)}: the layer sends bearer tokens, and API keys in a header. Send the credential of this scheme with transformClient of the client.`
  )
}

export const make =
  (scheme: Scheme) =>
  <R>({ token }: { readonly token: Effect.Effect<Redacted.Redacted, never, R> }): Layer.Layer<never, never, R> => {
    const [header, prefix] = headerOf(scheme)
    return Layer.effectContext(
      Effect.map(Effect.context<R>(), (services) => {
        const add = (options: Options): Effect.Effect<unknown, unknown, unknown> => {
          // Nested requirements share one key, so the client calls this function once for each. The first call adds the
          // header. The header of one call that the program has set itself wins.
          if (Headers.has(options.request.headers, header)) return options.next(options.request)
          return Effect.flatMap(Effect.provideContext(token, services), (token) => {
            const value = prefix + Redacted.value(token)
            return options.next(
              HttpClientRequest.isHttpClientRequest(options.request)
                ? HttpClientRequest.setHeader(options.request, header, value)
                : { ...options.request, headers: Headers.set(options.request.headers, header, value) }
            )
          })
        }
        return Context.makeUnsafe<never>(new Map([[`${scheme.service.key}/Client`, add]]))
      })
    )
  }
