/** Makes the random decisions for a program. `assemble.ts` makes the program. */
import type { Api, GroupName, Key, Plain, Requirement, Scope } from "./program.ts"

/** Random numbers that are the same for the same seed (xorshift32). */
class Chance {
  #state: number

  constructor(seed: number) {
    // The first numbers of neighboring seeds are alike without this mixing.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1
    for (let i = 0; i < 8; i++) this.#next()
  }

  #next(): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) / 2 ** 32
  }

  below(bound: number): number {
    return Math.floor(this.#next() * bound)
  }

  is(probability: number): boolean {
    return this.#next() < probability
  }

  of<T>(...values: ReadonlyArray<T>): T {
    return values[this.below(values.length)] as T
  }

  list<T>(min: number, max: number, make: () => T): ReadonlyArray<T> {
    return Array.from({ length: min + this.below(max - min + 1) }, make)
  }
}

/** A middleware in a plan. `value` is an index into the values of an app. */
export type Sketch =
  | { readonly is: "requirement"; readonly value: number }
  | { readonly is: "plain"; readonly value: number }
  | { readonly is: "combined"; readonly inner: Sketch; readonly outer: Sketch }

type Member = Sketch | { readonly is: "services"; readonly count: number }

/** One `Layer.provide` around the routes. */
export interface Step {
  readonly how: "alone" | "list" | "mergeAll"
  readonly members: ReadonlyArray<Member>
  /** Uses `Layer.provideMerge` instead of `Layer.provide`. */
  readonly merge: boolean
  readonly isFresh: boolean
  /** Provides the strict verifier to the step itself. */
  readonly isStrict: boolean
  /** Builds the context of the step before the program. */
  readonly isPrebuilt: boolean
}

/** Wraps the layer of an authentication. */
export type Wrap = "alone" | "prebuilt" | "merged" | "fresh"

export interface AppPlan {
  /** Uses the verifier of the first app. */
  readonly isLikeFirst: boolean
  readonly isStub: boolean
  readonly wrap: Wrap
  /** Adds a requirement that the other apps do not have. */
  readonly hasOneMore: boolean
}

export interface GroupPlan {
  readonly name: GroupName
  readonly policy: "shared" | "each" | "fresh"
  /** Provides the strict verifier to the handlers, in a layer that the apps share or in a layer for each app. */
  readonly strict: "no" | "shared" | "each"
  readonly isPrebuilt: boolean
}

/** A requirement that is provided to handlers or to a middleware, where it guards nothing without a cure. */
export interface Mistake {
  readonly on: "handlers" | "middleware"
  readonly sketch: Sketch
  readonly isPrebuilt: boolean
  readonly cure: "none" | "provideMerge" | "around the routes"
}

/** An additional route, or a second api, that a feature flag may leave out. A requirement is around the flag. */
export interface Flag {
  readonly how: "unwrap" | "condition"
  readonly isOn: boolean
  readonly isApi: boolean
  readonly isShared: boolean
}

export interface Plan {
  readonly seed: number
  readonly isApi: boolean
  /**
   * - `prefixes`: one router
   * - `servers`: one build, and a server for each app
   * - `nested`: each server starts the next server
   * - `builds`: a build for each app, with one memo map
   * - `forks`: a build for each app that forks one memo map
   */
  readonly topology: "prefixes" | "servers" | "nested" | "builds" | "forks"
  /**
   * The layers that get the authentication of an app. With `all`, one authentication is around all apps. A number is
   * the step before which the authentication is provided. The strict authentication is around that step and later
   * steps.
   */
  readonly place: "routes" | "handlers" | "outside" | "last step" | "all" | number
  readonly apps: ReadonlyArray<AppPlan>
  readonly strictWrap: Wrap
  /** Uses one authentication layer for all apps with one verifier. */
  readonly isAuthenticationShared: boolean
  /** Shares the layers of the steps, or only the requirement values and the middleware, or nothing. */
  readonly shared: "chains" | "values" | "nothing"
  readonly requirements: ReadonlyArray<Requirement>
  /** Innermost first. */
  readonly steps: ReadonlyArray<Step>
  readonly mistake: Mistake | undefined
  readonly levels: Api["levels"]
  readonly groups: ReadonlyArray<GroupPlan>
  readonly asks: Api["asks"]
  readonly isApiSecured: boolean
  readonly arrangement: "mergeAll" | "list" | "nested"
  readonly hasDatabase: boolean
  /** Provides the handlers before the step with this number, or around the server. */
  readonly handlersAt: number | "server"
  /** Calls `OAuth2.secured` before the step with this number, or around all apps. */
  readonly securedAt: number | "all" | "nowhere"
  readonly isBaseShared: boolean
  readonly isAppShared: boolean
  /** Starts an inner server inside the steps of the outer server. */
  readonly isNestedInside: boolean
  /** Provides a prebuilt context of other services around all apps. */
  readonly isSurrounded: boolean
  readonly flag: Flag | undefined
}

/** The requirements of an app that have a special purpose. The first two are for steps and endpoints. */
export const purposes = { mistake: 2, oneMore: 3, flag: 4 } as const

const keys: ReadonlyArray<Key> = ["K0", "K1", "K2", "K3"].map((name) => ({ is: "key", name }))

export const plainNames: ReadonlyArray<Plain["name"]> = ["M0", "M1", "M2", "M3"]

export const hasRequirement = (member: Member): boolean =>
  member.is === "combined" ? hasRequirement(member.inner) || hasRequirement(member.outer) : member.is === "requirement"

const drawRequirement = (chance: Chance, name: string): Requirement => {
  const scope = () => chance.of<Scope>("read", "write")
  const one = { is: "requirement", name, optional: chance.is(0.12) } as const
  const users = { scheme: "Users", scope: scope() } as const
  const partners = { scheme: "Partners", scope: scope() } as const
  return {
    ...one,
    parts: chance.of([users], [users], [users], [users], [users], [users], [partners], [users, partners])
  }
}

/** Draws steps. With `hasPlainOnly` no step has a requirement. */
class Steps {
  readonly #chance: Chance
  readonly #hasPlainOnly: boolean
  readonly hasCombined: boolean
  // The requirements that no step has yet. Combined steps have each requirement once, because the order of one value at
  // two places depends on details of the library.
  #left: ReadonlyArray<number>

  constructor(chance: Chance, hasPlainOnly: boolean) {
    this.#chance = chance
    this.#hasPlainOnly = hasPlainOnly
    this.hasCombined = chance.is(hasPlainOnly ? 0.8 : 0.4)
    this.#left = chance.is(0.5) ? [0, 1] : [1, 0]
  }

  static alone(member: Member): Step {
    return { how: "alone", members: [member], merge: false, isFresh: false, isStrict: false, isPrebuilt: false }
  }

  plain(): Sketch {
    return { is: "plain", value: this.#chance.below(plainNames.length) }
  }

  #one(): Sketch {
    if (this.#hasPlainOnly || this.#chance.is(0.6)) return this.plain()
    if (!this.hasCombined) return { is: "requirement", value: this.#chance.below(2) }
    const [value, ...left] = this.#left
    if (value === undefined) return this.plain()
    this.#left = left
    return { is: "requirement", value }
  }

  #combined(size: number): Sketch {
    if (size === 1) return this.#one()
    const inner = 1 + this.#chance.below(size - 1)
    return { is: "combined", inner: this.#combined(inner), outer: this.#combined(size - inner) }
  }

  #member(): Member {
    const chance = this.#chance
    if (chance.is(0.12)) return { is: "services", count: chance.of(1, 3, 9) }
    return this.hasCombined && chance.is(0.5) ? this.#combined(chance.of(2, 2, 3, 4)) : this.#one()
  }

  draw(): Step {
    const chance = this.#chance
    const how = chance.of<Step["how"]>("alone", "alone", "alone", "list", "mergeAll")
    return {
      how,
      members: how === "alone" ? [this.#member()] : chance.list(2, 3, () => this.#member()),
      merge: chance.is(0.1),
      isFresh: chance.is(0.1),
      isStrict: !this.#hasPlainOnly && chance.is(0.07),
      isPrebuilt: !this.#hasPlainOnly && chance.is(0.05)
    }
  }
}

const drawMistake = (chance: Chance, isApi: boolean, steps: Steps): Mistake | undefined => {
  if (!chance.is(0.25)) return
  const requirement: Sketch = { is: "requirement", value: purposes.mistake }
  return {
    on: isApi ? chance.of("handlers", "handlers", "middleware") : "middleware",
    sketch:
      steps.hasCombined && chance.is(0.3) ? { is: "combined", inner: steps.plain(), outer: requirement } : requirement,
    isPrebuilt: chance.is(0.1),
    cure: chance.of("none", "none", "provideMerge", "around the routes")
  }
}

const drawLevels = (chance: Chance, requirements: ReadonlyArray<Requirement>): Api["levels"] => {
  const requirement = () => requirements[chance.below(2)] as Requirement
  const key = () => keys[chance.below(keys.length)] as Key
  const level = () => chance.list(0, 2, () => (chance.is(0.45) ? requirement() : key()))
  if (!chance.is(0.2)) return [level(), level(), level()]
  // One requirement is at two places, with another middleware between.
  const one = requirement()
  return chance.of<Api["levels"]>(
    [[one], [key()], [one]],
    [[one, key()], [], [one]],
    [[one], [key(), one], level()],
    [level(), [one], [key(), one]]
  )
}

const drawGroup = (chance: Chance, name: GroupName): GroupPlan => ({
  name,
  policy: chance.of("shared", "shared", "shared", "each", "fresh"),
  strict: chance.of("no", "no", "no", "no", "no", "no", "no", "no", "shared", "each"),
  isPrebuilt: chance.is(0.08)
})

const drawWrap = (chance: Chance) =>
  chance.of<Wrap>("alone", "alone", "alone", "alone", "alone", "alone", "alone", "prebuilt", "merged", "fresh")

const drawFlag = (chance: Chance, isApi: boolean): Flag | undefined =>
  chance.is(0.25)
    ? {
        how: chance.of("unwrap", "condition"),
        isOn: chance.is(0.4),
        isApi: isApi && chance.is(0.5),
        isShared: chance.is(0.3)
      }
    : undefined

/** Draws a plan. With `hasPlainOnly` the program has one app and no requirement. */
export const planOf = (seed: number, hasPlainOnly: boolean): Plan => {
  const chance = new Chance(seed)
  const isApi = !hasPlainOnly && chance.is(0.6)
  const topology = chance.of<Plan["topology"]>("prefixes", "prefixes", "servers", "nested", "builds", "forks")
  const shared = chance.of<Plan["shared"]>("chains", "chains", "values", "nothing")
  const requirements = ["R0", "R1", "R2", "R3", "R4"].map((name, i) =>
    i === purposes.mistake
      ? ({ is: "requirement", name, parts: [{ scheme: "Users", scope: "write" }], optional: false } as const)
      : drawRequirement(chance, name)
  )

  const source = new Steps(chance, hasPlainOnly)
  const steps = [...chance.list(isApi ? 0 : 1, 4, () => source.draw())]
  const mistake = hasPlainOnly ? undefined : drawMistake(chance, isApi, source)
  if (mistake?.cure === "around the routes") steps.push(Steps.alone({ is: "requirement", value: purposes.mistake }))

  const at = () => chance.below(steps.length + 1)
  const place = chance.of<Plan["place"]>("routes", "routes", "routes", "handlers", "outside", "last step", "all", at())

  // A few programs under `OAuth2.secured` have a route without a requirement, so they must not start.
  const isSecured = !hasPlainOnly && chance.is(0.4)
  const isSecuredWell = isSecured && chance.is(0.9)
  const isGuarded = () => steps.some(({ members }) => members.some(hasRequirement)) || mistake?.cure === "provideMerge"
  if (isSecuredWell && !isApi && !isGuarded()) steps.push(Steps.alone({ is: "requirement", value: 0 }))
  const drawn = drawLevels(chance, requirements)
  const isApiGuarded = drawn.flat().some(({ is }) => is === "requirement")
  const levels: Api["levels"] =
    isSecuredWell && !isApiGuarded && !isGuarded()
      ? [[...drawn[0], requirements[0] as Requirement], drawn[1], drawn[2]]
      : drawn
  const names = (["opened", "health"] as const).filter((name) =>
    isSecuredWell ? name === "opened" && !isGuarded() : chance.is(0.6)
  )

  const isServer = topology === "servers" || topology === "nested" || topology === "forks"
  const securedAt = chance.of("step", "step", "all", "api")
  const isAppShared =
    !hasPlainOnly &&
    topology !== "nested" &&
    (place === "routes" || place === "outside" || place === "all") &&
    chance.is(0.1)
  const hasOneMore = () => !hasPlainOnly && !isAppShared && chance.is(0.15) && !(isSecuredWell && names.length > 0)
  return {
    seed,
    isApi,
    topology,
    place,
    apps: Array.from({ length: hasPlainOnly ? 1 : chance.of(1, 2, 2, 2, 3) }, () => ({
      isLikeFirst: place === "all" || chance.is(0.2),
      isStub: chance.is(0.25),
      wrap: drawWrap(chance),
      hasOneMore: hasOneMore()
    })),
    strictWrap: drawWrap(chance),
    isAuthenticationShared: chance.is(0.5),
    shared,
    requirements,
    steps,
    mistake,
    levels,
    groups: (["main", ...names] as const).map((name) => drawGroup(chance, name)),
    asks: chance.of("authorizeOption", "authorizeOption", "prove", "layerRequest"),
    isApiSecured: isSecured && chance.is(0.5) && (isApiGuarded || !isSecuredWell),
    arrangement: chance.of("mergeAll", "mergeAll", "list", "nested"),
    hasDatabase: chance.is(0.4),
    handlersAt: isServer && chance.is(0.3) ? "server" : at(),
    // A server has a router of its own, so `OAuth2.secured` around a server sees no route.
    securedAt:
      !isSecured || securedAt === "api" ? "nowhere" : securedAt === "all" && topology === "prefixes" ? "all" : at(),
    // Effect builds a shared layer of routes once, so a second `OAuth2.secured` around it sees no route.
    isBaseShared: !isSecured && chance.is(0.12),
    isAppShared,
    // Inside, the routes of the inner server have the values of both chains. See `#left` in `Steps`.
    isNestedInside: chance.is(0.7) && (!source.hasCombined || shared === "nothing"),
    isSurrounded: chance.is(0.15),
    flag: hasPlainOnly ? undefined : drawFlag(chance, isApi)
  }
}
