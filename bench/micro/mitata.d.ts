/** Types of mitata, so that type checks do not need the packages of the bench. */
declare module "mitata" {
  export const bench: (name: string, run: () => unknown) => void
  export const group: (name: string, benches: () => void) => void
  export const run: (options: { readonly colors: boolean }) => Promise<unknown>
}
