/** Takes options where they enter the library: an inherited property is not an option. */

/**
 * Returns the own properties of an object, on an object without a prototype.
 *
 * If a program merges JSON from a stranger carelessly, `Object.prototype` gets properties. An option that was left out
 * would then have the stranger's value.
 */
export const ownProperties = <A extends object>(given: A): A => {
  // Types may have been cast away. `Object.assign` takes these two for an empty object.
  if (given === null || given === undefined) throw new TypeError("Options must be an object.")
  return Object.assign(Object.create(null), given) as A
}

/** A member of an object, itself and not its prototype's; anything else has none. */
export const own = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined

/**
 * Returns `true` if an object has a member, itself or from its class. A member of `Object.prototype` does not count.
 */
export const hasOwnOrOfClass = (of: object, name: string): boolean => {
  if (!(name in Object.prototype)) return name in of
  let owner: object | null = of
  while (owner !== null && owner !== Object.prototype) {
    if (Object.hasOwn(owner, name)) return true
    owner = Object.getPrototypeOf(owner) as object | null
  }
  return false
}
