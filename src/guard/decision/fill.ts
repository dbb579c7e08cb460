/** Computes the scopes of a request from templates, such as `read:{org}`. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import { own } from "../../core/lib/ownProperties.ts"
import * as expression from "../requirement/expression.ts"
import { part, type Part, type RequirementPolicy } from "../requirement/policy.ts"
import type { ScopeTemplate } from "../scheme/scopeTemplate.ts"

/**
 * Replaces each template of a part by the scope for the request. A value that is not one segment of a scope becomes a
 * check that fails. The value grants nothing, and does not appear in the challenge.
 */
export const fill = (self: Part, context: Context.Context<never>): Effect.Effect<Part> => {
  const templates = expression.templates(self.expression)
  return Effect.map(
    Effect.forEach(templates, (template) => valuesFor(self, template, context)),
    (values) =>
      part({
        ...self,
        expression: expression.mapLeaves(self.expression, (leaf) => {
          if (leaf._tag !== "Template") return leaf
          const scope = templateOf(self, leaf).fill(values[templates.indexOf(leaf)])
          return scope === undefined
            ? expression.constantCheck(leaf.scope, false)
            : { _tag: "Scope", scope, template: leaf.scope }
        })
      })
  )
}

const templateOf = (self: Part, { scope }: expression.Template): ScopeTemplate => {
  const template = self.scheme.implication.templates.get(scope)
  if (template === undefined) throw new Error(`The scope ${JSON.stringify(scope)} has no placeholder.`)
  return template
}

const valuesFor = (
  self: Part,
  template: expression.Template,
  context: Context.Context<never>
): Effect.Effect<unknown> => {
  if (template.values !== undefined) return template.values
  const route = Context.getOrUndefined(context, HttpRouter.RouteContext)
  const { names, scope } = templateOf(self, template)
  const missing = names.find((name) => own(route?.params, name) === undefined && !mayHave(route?.route.path, name))
  if (missing === undefined) return Effect.succeed(route?.params)
  const why =
    route === undefined
      ? "but does not run in a route"
      : `which the route ${JSON.stringify(route.route.path)} does not have`
  return Effect.die(
    new Error(
      `The scope ${JSON.stringify(scope)} needs the path parameter ${JSON.stringify(missing)}, ${why}. Give the placeholder the name of a path parameter, or compute its value with auth.scopeOf.`
    )
  )
}

/** Returns `true` if a path has the parameter, so that only this request lacks its optional value. */
const mayHave = (path: string | undefined, name: string): boolean =>
  Array.from((path ?? "").matchAll(/:([A-Za-z0-9_]+)/g), ([, found]) => found).includes(name)

/** Returns a scope that takes a path parameter, and the name of the parameter, if the path lacks the parameter. */
export const missingParameter = (
  policies: ReadonlyArray<RequirementPolicy>,
  path: string
): { readonly scope: string; readonly name: string } | undefined => {
  for (const self of policies.flat(2)) {
    for (const template of expression.templates(self.expression)) {
      if (template.values !== undefined) continue
      const name = templateOf(self, template).names.find((name) => !mayHave(path, name))
      if (name !== undefined) return { scope: template.scope, name }
    }
  }
  return
}
