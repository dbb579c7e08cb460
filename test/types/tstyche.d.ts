/**
 * tstyche's words as types alone: where tstyche cannot run (TypeScript 7 has no API for it), the compiler itself checks the same files. A relation that
 * does not hold is a missing argument.
 */
// The compiler takes two conditional types with an unknown operand for one another only where the rest of them is identical.
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

type Holds<Relation extends boolean, Expected extends boolean, Words extends string> = [Relation] extends [Expected]
  ? []
  : [relation: Words]

interface Relations<Source, Expected extends boolean> {
  toBe<Target>(..._: Holds<Same<Source, Target>, Expected, "the types are, or are not, the same">): void
  toBeAssignableTo<Target>(
    ..._: Holds<[Source] extends [Target] ? true : false, Expected, "the type is, or is not, assignable to the other">
  ): void
  toBeAssignableFrom<Target>(
    ..._: Holds<[Target] extends [Source] ? true : false, Expected, "the other is, or is not, assignable to the type">
  ): void
}

export declare const describe: (name: string, body: () => void) => void
export declare const test: (name: string, body: () => void) => void
export declare const expect: <Source>(source?: Source) => {
  readonly type: Relations<Source, true> & { readonly not: Relations<Source, false> }
}
