/** Whether a type is a union: a value of it is one thing or another, and the types know only what both are. `false` for `never`. */
export type IsUnion<T> = [T] extends [never] ? false : IsOneOf<T, T> extends false ? false : true

type IsOneOf<T, Whole> = T extends unknown ? ([Whole] extends [T] ? false : true) : never

/** Whether a type is one string: not a union, not `string`, and no template that many strings match. */
export type IsLiteral<S> = [S] extends [never]
  ? false
  : IsUnion<S> extends true
    ? false
    : S extends string
      ? {} extends Readonly<Record<S, 1>>
        ? false
        : true
      : false

/** The members of a union of strings in a row, for people to read. */
export type Listed<S extends string> =
  LastOf<S> extends infer Last extends string
    ? [Exclude<S, Last>] extends [never]
      ? Last
      : `${Listed<Exclude<S, Last>>}\`, \`${Last}`
    : never

type LastOf<S> = (S extends unknown ? (_: () => S) => void : never) extends (_: infer Overloads) => void
  ? Overloads extends () => infer Last
    ? Last
    : never
  : never
