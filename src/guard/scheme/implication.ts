/** Which scopes imply which others: as a scheme declares it, as the types know it, and as tokens are decided about. */
import type { IsLiteral, IsUnion } from "../../core/lib/types.ts"

/**
 * Which scopes imply which others: `{ "items:write": ["items:read"] }`, transitively.
 *
 * @category models
 * @since 0.1.0
 */
export type Implications<Scope extends string> = { readonly [S in Scope]?: ReadonlyArray<Scope> }

/**
 * A scope and those that imply it.
 *
 * @category utility types
 * @since 0.1.0
 */
export type ImpliedBy<Implies, Scope extends string, Seen extends string = never> = Scope extends Seen
  ? never
  : Scope | ImpliedBy<Implies, DirectlyImpliedBy<Implies, Scope>, Seen | Scope>

/** Of what is optional, or a union, the types do not know what is there: it implies nothing. */
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

type Certain<Scopes> =
  IsUnion<Scopes> extends true
    ? never
    : Scopes extends ReadonlyArray<unknown>
      ? number extends Scopes["length"]
        ? never
        : { readonly [K in keyof Scopes]: IsLiteral<Scopes[K]> extends true ? Scopes[K] : never }[number]
      : never

/** Which scopes imply which others, as a scheme declares it: `{ "items:write": ["items:read"] }`, transitively. */
export interface Implication {
  /** The scope itself and those that imply it: a token with one of them satisfies it. */
  readonly impliedBy: (scope: string) => ReadonlyArray<string>
  /** Without the scopes that others of the list imply. */
  readonly minimal: (scopes: ReadonlyArray<string>) => ReadonlyArray<string>
}

type Declared = Readonly<Record<string, ReadonlyArray<string> | undefined>>

const impliesOf = (declared: Declared, scope: string): ReadonlyArray<string> =>
  Object.hasOwn(declared, scope) ? (declared[scope] ?? []) : []

/** Throws where an undeclared scope is named, or a scope implies itself in a circle. */
export const make = (where: string, scopes: ReadonlyArray<string>, declared: Declared): Implication => {
  for (const scope of [...Object.keys(declared), ...Object.values(declared).flatMap((implied) => implied ?? [])]) {
    if (!scopes.includes(scope)) {
      throw new TypeError(`${where}: implies names ${JSON.stringify(scope)}, which is not declared.`)
    }
  }
  const implied = new Map<string, ReadonlySet<string>>()
  const closure = (scope: string, path: ReadonlyArray<string>): ReadonlySet<string> => {
    const known = implied.get(scope)
    if (known !== undefined) return known
    if (path.includes(scope)) {
      throw new TypeError(`${where}: implies goes in a circle: ${[...path, scope].join(" → ")}.`)
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

/** Whether a token with the scopes `granted` has `scope`, by itself or by implication. */
export const satisfies = (implication: Implication, granted: ReadonlySet<string>, scope: string): boolean =>
  granted.has(scope) || implication.impliedBy(scope).some((other) => granted.has(other))
