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
    : {
        readonly [S in keyof Implies]-?: {} extends Pick<Implies, S>
          ? never
          : Scope extends Certain<Implies[S]>
            ? S & string
            : never
      }[keyof Implies]

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

/** Throws a `TypeError` if `declared` names an undeclared scope, or if a scope implies itself. */
export const make = (where: string, scopes: ReadonlyArray<string>, declared: Declared): Implication => {
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
    const direct = impliesOf(declared, scope)
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
