/** Types that tell unions from single types, and literals from `string`. */

// IsUnion<"a" | "b"> -> true, IsUnion<"a"> -> false, IsUnion<never> -> false
export type IsUnion<T> = [T] extends [never] ? false : IsOneOf<T, T> extends false ? false : true

// IsOneOf<"a" | "b", "a" | "b"> -> true, because "a" alone is not the whole union. IsOneOf<"a", "a"> -> false
type IsOneOf<T, Whole> = T extends unknown ? ([Whole] extends [T] ? false : true) : never

// IsLiteral<"a"> -> true, IsLiteral<"a" | "b"> -> false, IsLiteral<string> -> false, IsLiteral<`a${string}`> -> false
export type IsLiteral<S> = [S] extends [never]
  ? false
  : IsUnion<S> extends true
    ? false
    : S extends string
      ? {} extends Readonly<Record<S, 1>>
        ? false
        : true
      : false

// Lists the members of a union for a compiler message, which puts the whole text in backticks.
// Listed<"a" | "b"> -> "a`, `b"
export type Listed<S extends string> =
  LastOf<S> extends infer Last extends string
    ? [Exclude<S, Last>] extends [never]
      ? Last
      : `${Listed<Exclude<S, Last>>}\`, \`${Last}`
    : never

// LastOf<"a" | "b"> -> "b": the compiler infers from the last overload of `(() => "a") & (() => "b")`.
type LastOf<S> = (S extends unknown ? (_: () => S) => void : never) extends (_: infer Overloads) => void
  ? Overloads extends () => infer Last
    ? Last
    : never
  : never
