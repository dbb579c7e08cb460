/** Defines which scopes imply other scopes, in types and at run time. */
import type { IsLiteral, IsUnion } from "../../core/lib/types.ts"

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
  const impliedBy = new Map(
    scopes.map((scope) => [scope, [scope, ...scopes.filter((other) => implied.get(other)?.has(scope))]])
  )
  return {
    impliedBy: (scope) => impliedBy.get(scope) ?? [scope],
    minimal: (list) => list.filter((scope) => !list.some((other) => other !== scope && implied.get(other)?.has(scope)))
  }
}

/** Returns `true` if a token with the scopes `granted` has `scope`, directly or by implication. */
export const satisfies = (implication: Implication, granted: ReadonlySet<string>, scope: string): boolean =>
  granted.has(scope) || implication.impliedBy(scope).some((other) => granted.has(other))
