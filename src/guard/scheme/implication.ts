/** Defines which scopes imply other scopes, in types and at run time. */
import type { IsLiteral, IsUnion } from "../../core/lib/types.ts"
import { ScopeTemplate } from "./scopeTemplate.ts"

/**
 * Scopes that imply other scopes, transitively: `{ "items:write": ["items:read"] }`.
 *
 * @category models
 * @since 0.1.0
 */
export type Implications<Scope extends string> = { readonly [S in Scope]?: ReadonlyArray<Scope> }

/**
 * Union of a scope and the scopes that imply it.
 *
 * @category utility types
 * @since 0.1.0
 */
export type ImpliedBy<Implies, Scope extends string, Seen extends string = never> = Scope extends Seen
  ? never
  : Scope | ImpliedBy<Implies, DirectlyImpliedBy<Implies, Scope>, Seen | Scope>

// DirectlyImpliedBy<{ write: ["read"] }, "read"> -> "write". An optional property, or one of a union type, implies
// nothing.
type DirectlyImpliedBy<Implies, Scope extends string> =
  IsUnion<Implies> extends true
    ? never
    : | {
          readonly [S in keyof Implies]-?: {} extends Pick<Implies, S>
            ? never
            : Scope extends Certain<Implies[S]>
              ? S & string
              : never
        }[keyof Implies]
      | Matching<WildcardOf<Implies>, Scope>

/** Scope names that are wildcards if the option `wildcards` is `true`. */
type WildcardName = "*" | `${string}:*`

/**
 * Wildcard scopes of a scheme, which stand beside its implications.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wildcards<out Scope extends string> {
  readonly "~effect-oauth2/Wildcards": Scope
}

/** The implications of a scheme with its wildcard scopes, if the option `wildcards` is `true`. */
export type WithWildcards<Implies, Scope extends string, Enabled> = [Enabled] extends [true]
  ? Implies & Wildcards<Extract<Scope, WildcardName>>
  : Implies

/** The scopes that a requirement may name: all scopes except for wildcards. */
export type Requirable<Scope extends string, Enabled> = [Enabled] extends [true] ? Exclude<Scope, WildcardName> : Scope

/**
 * Wildcard scopes of a scheme. `never` if the option `wildcards` is off.
 *
 * @category utility types
 * @since 0.1.0
 */
export type WildcardOf<Implies> = Implies extends Wildcards<infer Scope> ? Scope : never

// Matching<"read:*" | "write:*" | "*", "read:items"> -> "read:*" | "*"
type Matching<Wildcard extends string, Scope extends string> = Wildcard extends "*"
  ? Wildcard
  : Wildcard extends `${infer Prefix}:*`
    ? Scope extends `${Prefix}:${infer Segment}`
      ? Segment extends "" | `${string}:${string}`
        ? never
        : Wildcard
      : never
    : never

// Certain<["a", string]> -> "a"; Certain<Array<"a">> -> never
type Certain<Scopes> =
  IsUnion<Scopes> extends true
    ? never
    : Scopes extends ReadonlyArray<unknown>
      ? number extends Scopes["length"]
        ? never
        : { readonly [K in keyof Scopes]: IsLiteral<Scopes[K]> extends true ? Scopes[K] : never }[number]
      : never

/** The transitive implications of a scheme, prepared for lookups. */
export interface Implication {
  /** Returns the scope and the scopes that imply it. A token with one of them satisfies the scope. */
  readonly impliedBy: (scope: string) => ReadonlyArray<string>
  /** The declared scopes with placeholders, by their names. */
  readonly templates: ReadonlyMap<string, ScopeTemplate>
  /** Removes the scopes that other scopes of the list imply. */
  readonly minimal: (scopes: ReadonlyArray<string>) => ReadonlyArray<string>
}

type Declared = Readonly<Record<string, ReadonlyArray<string> | undefined>>

const impliesOf = (declared: Declared, scope: string): ReadonlyArray<string> =>
  Object.hasOwn(declared, scope) ? (declared[scope] ?? []) : []

// One or more segments that are separated by colons, and an asterisk as the last segment. Or an asterisk alone.
const wildcard = /^(?:[^:*]+:)*\*$/

/** Returns `true` for the name of a wildcard scope, such as `read:*`. */
export const isWildcard = (scope: string): boolean => wildcard.test(scope)

const assertWildcards = (where: string, scopes: ReadonlyArray<string>): void => {
  const invalid = scopes.find((scope) => scope.includes("*") && !isWildcard(scope))
  if (invalid === undefined) return
  throw new TypeError(
    `${where}: the scope ${JSON.stringify(invalid)} is not a wildcard. With the option wildcards, an asterisk must be the whole last segment after a colon, such as "read:*".`
  )
}

/**
 * Returns the declared scopes that a declared wildcard scope stands for. Matching happens only here, among declared
 * names: a token is compared by whole names, so an undeclared wildcard in a token grants nothing.
 */
const matchedBy = (wildcard: string, scopes: ReadonlyArray<string>): ReadonlyArray<string> => {
  if (!isWildcard(wildcard)) return []
  if (wildcard === "*") return scopes.filter((scope) => scope !== wildcard)
  const prefix = wildcard.slice(0, -1)
  return scopes.filter((scope) => {
    const segment = scope.startsWith(prefix) ? scope.slice(prefix.length) : ""
    return segment !== "" && !segment.includes(":") && !segment.includes("*")
  })
}

/** Throws a `TypeError` if `declared` names an undeclared scope, or if a scope implies itself. */
export const make = (
  where: string,
  scopes: ReadonlyArray<string>,
  declared: Declared,
  wildcards: boolean
): Implication => {
  if (wildcards) assertWildcards(where, scopes)
  for (const scope of [...Object.keys(declared), ...Object.values(declared).flatMap((implied) => implied ?? [])]) {
    if (!scopes.includes(scope)) {
      throw new TypeError(
        `${where}: implies names the scope ${JSON.stringify(scope)}, which is not declared. Add the scope to scopes.`
      )
    }
  }
  const implied = new Map<string, ReadonlySet<string>>()
  const closure = (scope: string, path: ReadonlyArray<string>): ReadonlySet<string> => {
    const cached = implied.get(scope)
    if (cached !== undefined) return cached
    if (path.includes(scope)) {
      throw new TypeError(
        `${where}: a scope implies itself in implies (${[...path, scope].join(" → ")}). Remove one of these implications.`
      )
    }
    const direct = [...impliesOf(declared, scope), ...(wildcards ? matchedBy(scope, scopes) : [])]
    const all = new Set([...direct, ...direct.flatMap((next) => Array.from(closure(next, [...path, scope])))])
    implied.set(scope, all)
    return all
  }
  for (const scope of scopes) closure(scope, [])
  const byName = new Map(
    scopes.map((scope) => [scope, [scope, ...scopes.filter((other) => implied.get(other)?.has(scope))]])
  )
  const templates = new Map(
    scopes.flatMap((scope) => {
      const template = ScopeTemplate.of(scope)
      return template === undefined ? [] : [[scope, template]]
    })
  )
  assertTemplates(where, templates, scopes, implied)
  const impliedBy = (scope: string) => byName.get(scope) ?? impliedByFilled(templates, byName, scope)
  return {
    impliedBy,
    templates,
    minimal: (list) =>
      list.filter((scope) => {
        const others = impliedBy(scope)
        return !list.some((other) => other !== scope && others.includes(other))
      })
  }
}

/** Returns what implies a scope that a request has computed: with `admin:{org}`, `admin:acme` implies `read:acme`. */
const impliedByFilled = (
  templates: Implication["templates"],
  byName: ReadonlyMap<string, ReadonlyArray<string>>,
  scope: string
): ReadonlyArray<string> => {
  for (const template of templates.values()) {
    const values = template.valuesOf(scope)
    if (values === undefined) continue
    return (byName.get(template.scope) ?? []).flatMap((name) => {
      const implying = templates.get(name)
      return implying === undefined ? [name] : (implying.fill(values) ?? [])
    })
  }
  return [scope]
}

const assertTemplates = (
  where: string,
  templates: Implication["templates"],
  scopes: ReadonlyArray<string>,
  implied: ReadonlyMap<string, ReadonlySet<string>>
): void => {
  for (const template of templates.values()) {
    // An organization with the name "items" must not make the scope of all items from `read:{org}`.
    const other = scopes.find((scope) => scope !== template.scope && template.canBecome(scope))
    if (other !== undefined) {
      throw new TypeError(
        `${where}: a value can make the scope ${JSON.stringify(template.scope)} equal to the declared scope ${JSON.stringify(other)}. Give one of the two another prefix, or another number of segments.`
      )
    }
    for (const scope of implied.get(template.scope) ?? []) {
      const names = templates.get(scope)?.names ?? []
      if (template.names.every((name) => names.includes(name))) continue
      throw new TypeError(
        `${where}: the scope ${JSON.stringify(template.scope)} implies ${JSON.stringify(scope)}, which lacks one of its placeholders. Use the same placeholders in both scopes.`
      )
    }
  }
}

/** Returns `true` if a token with the scopes `granted` has `scope`, directly or by implication. */
export const satisfies = (implication: Implication, granted: ReadonlySet<string>, scope: string): boolean =>
  // A template is a name for many scopes. A token that contains its text has none of them.
  implication.templates.has(scope)
    ? implication.impliedBy(scope).some((other) => !implication.templates.has(other) && granted.has(other))
    : isProven(implication, granted, scope)

/** Returns `true` if a proof of the scopes `proven` is also a proof of `scope`. Proofs name templates, unlike tokens. */
export const isProven = (implication: Implication, proven: ReadonlySet<string>, scope: string): boolean =>
  proven.has(scope) || implication.impliedBy(scope).some((other) => proven.has(other))
