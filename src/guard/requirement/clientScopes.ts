/** Returns the scopes that a client asks for at an endpoint: those that its requirements name, and no others. */
import * as scope from "../../core/scope.ts"
import type { Scheme } from "../scheme/scheme.ts"
import * as expression from "./expression.ts"
import { scopesToRequest } from "./policy.ts"
import * as registry from "./registry.ts"

/** `parameters` returns the path parameters of the request for the placeholders of a scope. */
export const scopesForClient = (
  scheme: Scheme,
  keys: Iterable<object>,
  parameters: (names: ReadonlyArray<string>) => Readonly<Record<string, string>> | undefined
): ReadonlyArray<string> => {
  const parts = registry
    .policyOfKeys(keys)
    .flat()
    .filter((part) => part.scheme === scheme)
  const names = parts.flatMap((part) => {
    // A scope whose values only the server computes cannot be named here. The API's challenge names it.
    const filled = expression.mapLeaves(part.expression, (leaf) => {
      if (leaf._tag !== "Template") return leaf
      const template = scheme.implication.templates.get(leaf.scope)
      const values = leaf.values === undefined && template !== undefined ? parameters(template.names) : undefined
      const name = template?.fill(values)
      return name === undefined ? expression.constantCheck(leaf.scope, true) : expression.scopeNamed(name)
    })
    return scopesToRequest({ scheme, expression: filled }, [])
  })
  return scope.union([], names).toSorted()
}
