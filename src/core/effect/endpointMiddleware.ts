/** Lets an endpoint have the same middleware at several places. */
import type * as Context from "effect/Context"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"

type AnyKey = Context.Key<unknown, unknown>

type AddMiddleware = (this: HttpApiEndpoint.Top, key: AnyKey) => HttpApiEndpoint.Top

/**
 * Extends `endpoint.middleware(key)`. Groups and apis call the same method. If the endpoint already has the key,
 * `another` returns a second key for the outer place.
 *
 * An endpoint stores its middleware keys in a `Set`. Without a second key, a key that is added again would stay at its
 * innermost place only.
 */
export const extendEndpointMiddleware = (another: (key: AnyKey) => AnyKey | undefined): void => {
  const prototype: unknown = Object.getPrototypeOf(HttpApiEndpoint.get("get", "/"))
  if (!hasMiddleware(prototype)) {
    throw new Error(
      "HttpApiEndpoint.middleware is missing in this version of Effect. effect-oauth2 extends this method, so that an endpoint can have a requirement at two places. Install a version of effect that effect-oauth2 supports (peerDependencies)."
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
