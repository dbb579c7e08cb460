/** Finds two different schemes with one name. Effect, guards and documents tell schemes apart by their names. */
import type { Scheme } from "../scheme/scheme.ts"
import type { RequirementPolicy } from "./policy.ts"

/** The schemes of one app by name. */
export class SchemeNames {
  readonly #schemes = new Map<string, Scheme>()

  /** Adds the schemes of a policy. Throws if a different scheme has the name of one of them. */
  add(policy: RequirementPolicy): void {
    for (const { scheme } of policy.flat()) {
      if ((this.#schemes.get(scheme.name) ?? scheme) !== scheme) throw sameName(scheme)
      this.#schemes.set(scheme.name, scheme)
    }
  }
}

export const sameName = ({ name }: Scheme): TypeError =>
  new TypeError(
    `Two different schemes of one app are named ${JSON.stringify(name)}. Rename one of them. Or create the scheme once, and import it where you need it.`
  )
