/** Sends web-standard requests to an `HttpRouter` app, in process. */
import { Context, Effect, type Layer, Logger, type Scope } from "effect"
import { HttpRouter } from "effect/http"

export interface Answer {
  readonly status: number
  readonly challenge: string | null
  readonly body: string
  readonly headers: Headers
}

/** `headers` must be a record, so that `serve` can add the token. */
export type Init = Omit<RequestInit, "headers"> & { readonly headers?: Readonly<Record<string, string>> }

export type Send = (path: string, token?: string, init?: Init) => Effect.Effect<Answer>

type Requests =
  | HttpRouter.HttpRouter
  | HttpRouter.Request<"Requires", never>
  | HttpRouter.Request<"Error", any>
  | HttpRouter.Request<"GlobalError", any>

/** With `"caller"`, the app logs to the loggers of the caller. Otherwise, it logs to its own. */
export const serve = <A, E>(
  app: Layer.Layer<A, E, Requests>,
  loggers: "app" | "caller" = "app"
): Effect.Effect<Send, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ofCaller = Context.make(Logger.CurrentLoggers, yield* Logger.CurrentLoggers)
    const { handler } = yield* Effect.acquireRelease(
      Effect.sync(() => HttpRouter.toWebHandler(app, { disableLogger: true })),
      ({ dispose }) => Effect.promise(dispose)
    )
    return (path, token, init) =>
      Effect.promise(async () => {
        const response = await handler(
          new Request(`http://localhost${path}`, {
            ...init,
            headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...init?.headers }
          }),
          ...(loggers === "caller" ? [ofCaller] : [])
        )
        return {
          status: response.status,
          challenge: response.headers.get("www-authenticate"),
          body: await response.text(),
          headers: response.headers
        }
      })
  })
