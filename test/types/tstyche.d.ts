/** The API of tstyche as types, for compilers that tstyche does not support, such as TypeScript 7. */

// Same<1, 1> -> true, Same<1, number> -> false
// Two conditional types with an unknown operand are assignable to each other only if their other parts are identical.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

// Holds<true, true, "…"> -> [], Holds<false, true, "…"> -> [relation: "…"]
// A relation that does not hold becomes a missing argument, which the compiler reports.
type Holds<Relation extends boolean, Expected extends boolean, Words extends string> = [Relation] extends [Expected]
  ? []
  : [relation: Words]

interface Relations<Source, Expected extends boolean> {
  toBe<Target>(..._: Holds<Same<Source, Target>, Expected, "the types must be, or must not be, the same">): void
  toBeAssignableTo<Target>(
    ..._: Holds<
      [Source] extends [Target] ? true : false,
      Expected,
      "the type must be, or must not be, assignable to the other"
    >
  ): void
  toBeAssignableFrom<Target>(
    ..._: Holds<
      [Target] extends [Source] ? true : false,
      Expected,
      "the other must be, or must not be, assignable to the type"
    >
  ): void
}

export declare const describe: (name: string, body: () => void) => void
export declare const test: (name: string, body: () => void) => void
export declare const expect: <Source>(source?: Source) => {
  readonly type: Relations<Source, true> & { readonly not: Relations<Source, false> }
}
