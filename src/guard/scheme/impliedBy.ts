/** Which scopes imply which others, as the types know it. */
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
