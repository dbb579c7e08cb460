/** Lets one middleware key stand at several places of an `HttpApi`. */
import type * as Context from "effect/Context"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"

type AnyKey = Context.Key<unknown, unknown>

type AddMiddleware = (this: HttpApiEndpoint.Top, key: AnyKey) => HttpApiEndpoint.Top

/**
 * Extends `endpoint.middleware(key)`, which groups and apis call, too: `another` makes a second key for a key that the endpoint has already.
 *
 * An endpoint keeps its middleware keys in a `Set`. A key that is added again stays at its first, innermost place, and nothing of the outer place is left.
 */
export const extendEndpointMiddleware = (another: (key: AnyKey) => AnyKey | undefined): void => {
  const prototype: unknown = Object.getPrototypeOf(HttpApiEndpoint.get("get", "/"))
  if (!hasMiddleware(prototype)) {
    throw new Error(
      "This version of Effect has no method HttpApiEndpoint.middleware, which effect-oauth2 extends to keep a requirement that stands at two places. Use a version of effect that effect-oauth2 supports (peerDependencies)."
    )
  }
  const add = prototype.middleware
  prototype.middleware = function (key) {
    return add.call(this, (this.middlewares.has(key as never) ? another(key) : undefined) ?? key)
  }
}

const hasMiddleware = (prototype: unknown): prototype is { middleware: AddMiddleware } =>
  (typeof prototype === "object" || typeof prototype === "function") &&
  prototype !== null &&
  "middleware" in prototype &&
  typeof prototype.middleware === "function"
