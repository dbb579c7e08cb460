/** Makes the program that a plan describes. Nothing here is random. */
import { type AppPlan, type GroupPlan, hasRequirement, plainNames, type Plan, planOf, purposes } from "./plan.ts"
import type { Sketch, Step, Wrap } from "./plan.ts"
import { layerOf, mergeAll, provide, provideMerge } from "./program.ts"
import type { Api, Build, Middleware, Node, Plain, Program, Requirement, Scope, Verifier } from "./program.ts"

/** The requirement values and the middleware that an app uses. */
interface Values {
  readonly requirements: ReadonlyArray<Requirement>
  readonly plain: ReadonlyArray<Plain>
  readonly combined: Map<Sketch, Middleware>
}

const both: ReadonlyArray<Scope> = ["read", "write"]

/** Every verifier accepts the token `strict`. The strict verifier accepts no other token. */
const strictTokens = { strict: both }
const strict: Verifier = { name: "Strict", tokens: { Users: strictTokens, Partners: strictTokens } }

const verifierOf = ({ isStub }: AppPlan, app: number): Verifier => ({
  name: `V${app}`,
  tokens: isStub
    ? "stub"
    : {
        Users: { [`read${app}`]: ["read"], [`both${app}`]: both, ...strictTokens },
        Partners: { [`partner${app}`]: both, ...strictTokens }
      }
})

const authenticationOf = (by: Verifier, wrap: Wrap): Node => {
  const node: Node = { is: "authentication", by }
  switch (wrap) {
    case "alone":
      return node
    case "prebuilt":
    case "fresh":
      return { is: wrap, of: node }
    case "merged":
      return mergeAll({ is: "services", count: 3 }, node)
  }
}

const middlewareOf = (sketch: Sketch, values: Values): Middleware => {
  if (sketch.is === "requirement") return values.requirements[sketch.value] as Requirement
  if (sketch.is === "plain") return values.plain[sketch.value] as Plain
  const made: Middleware = values.combined.get(sketch) ?? {
    is: "combined",
    inner: middlewareOf(sketch.inner, values),
    outer: middlewareOf(sketch.outer, values)
  }
  values.combined.set(sketch, made)
  return made
}

const requirementOf = ({ requirements }: Values, purpose: keyof typeof purposes): Node =>
  layerOf(requirements[purposes[purpose]] as Requirement)

/** Nodes and values that the apps of one program share. */
class Shared {
  readonly plan: Plan
  readonly verifiers: ReadonlyArray<Verifier>
  readonly authentications: ReadonlyArray<Node>
  readonly strict: Node
  readonly api: Api
  readonly late: Api
  readonly database: Node = { is: "database" }
  readonly values: Values
  readonly steps = new Map<Step, ReadonlyArray<Node>>()
  readonly #nodes = new Map<string, Node>()

  constructor(plan: Plan) {
    this.plan = plan
    const own = plan.apps.map(verifierOf)
    this.verifiers = plan.apps.map(({ isLikeFirst }, i) => (isLikeFirst ? own[0] : own[i]) as Verifier)
    this.authentications = plan.apps.map(({ wrap }, i) => {
      const verifier = this.verifiers[i] as Verifier
      const make = () => authenticationOf(verifier, wrap)
      return plan.isAuthenticationShared ? this.once(`authentication ${verifier.name}`, make) : make()
    })
    this.strict = authenticationOf(strict, plan.strictWrap)
    const { asks, groups, isApiSecured, levels } = plan
    const names = groups.map(({ name }) => name)
    this.api = { id: "api", path: "/main", levels, groups: names, asks, isSecured: isApiSecured }
    this.late = { id: "late", path: "/flagged", levels: [[], [], []], groups: ["main"], asks, isSecured: false }
    const plain = plainNames.map((name): Plain => ({ is: "plain", name }))
    this.values = { requirements: plan.requirements, plain, combined: new Map() }
  }

  /** Returns one node for all apps. */
  once(name: string, make: () => Node): Node {
    const node = this.#nodes.get(name) ?? make()
    this.#nodes.set(name, node)
    return node
  }

  valuesOf(app: number): Values {
    const { requirements, plain } = this.values
    if (app === 0 || this.plan.shared === "chains") return this.values
    if (this.plan.shared === "values") return { ...this.values, combined: new Map() }
    return {
      requirements: requirements.map((one) => ({ ...one, name: `${one.name}of${app}` })),
      plain: plain.map((one) => ({ ...one })),
      combined: new Map()
    }
  }
}

class App {
  readonly #shared: Shared
  readonly #plan: Plan
  readonly #app: number
  readonly #values: Values
  readonly #authentication: Node

  constructor(shared: Shared, app: number) {
    this.#shared = shared
    this.#plan = shared.plan
    this.#app = app
    this.#values = shared.valuesOf(app)
    this.#authentication = shared.authentications[app] as Node
  }

  /** Provides the authentication directly, if the plan has no authentication around the routes. */
  #given(node: Node): Node {
    return this.#plan.place === "handlers" ? provide(node, this.#authentication) : node
  }

  #group({ isPrebuilt, name, policy, strict }: GroupPlan): Node {
    const make = (): Node => ({ is: "group", api: this.#shared.api, name })
    const group = policy === "each" ? make() : this.#shared.once(name, make)
    const built: Node = policy === "fresh" ? { is: "fresh", of: group } : group
    const isShared = policy === "shared" && strict === "shared"
    const own = () => (strict === "no" ? built : provide(built, this.#shared.strict))
    const node = isShared ? this.#shared.once(`strict ${name}`, own) : own()
    if (!isPrebuilt) return node
    const prebuilt = (): Node => ({
      is: "prebuilt",
      of: strict === "no" ? provide(node, this.#authentication) : node
    })
    return isShared ? this.#shared.once(`prebuilt ${name}`, prebuilt) : prebuilt()
  }

  /** Provides the misplaced requirement to a layer. */
  #mistaken(node: Node): Node {
    const { mistake } = this.#plan
    if (mistake === undefined) return node
    const own = this.#given(layerOf(middlewareOf(mistake.sketch, this.#values)))
    const layer: Node = mistake.isPrebuilt ? { is: "prebuilt", of: provide(own, this.#authentication) } : own
    return mistake.cure === "provideMerge" ? provideMerge(node, layer) : provide(node, layer)
  }

  #handled(node: Node): Node {
    const { arrangement, groups, hasDatabase, mistake } = this.#plan
    const all = [...groups.map((group) => this.#group(group)), ...(hasDatabase ? [this.#shared.database] : [])]
    const isShared = groups.every(({ isPrebuilt, policy }) => policy !== "each" && !isPrebuilt)
    const merged = () => mergeAll(...all)
    const layers = arrangement !== "mergeAll" ? all : [isShared ? this.#shared.once("merged", merged) : merged()]
    const handlers = layers.map((layer, i) =>
      this.#given(i === 0 && mistake?.on === "handlers" ? this.#mistaken(layer) : layer)
    )
    return arrangement === "nested"
      ? handlers.reduce((node, one) => provide(node, one), node)
      : provide(node, ...handlers)
  }

  #makeStep({ how, isFresh, isPrebuilt, isStrict, members }: Step): ReadonlyArray<Node> {
    const wrap = (node: Node): Node => {
      const own = isStrict
        ? provide(node, this.#shared.strict)
        : isPrebuilt
          ? provide(node, this.#authentication)
          : node
      const built: Node = isPrebuilt ? { is: "prebuilt", of: own } : own
      return isFresh ? { is: "fresh", of: built } : built
    }
    const nodes = members.map((member) =>
      member.is === "services" ? member : layerOf(middlewareOf(member, this.#values))
    )
    return how === "mergeAll" ? [wrap(mergeAll(...nodes))] : nodes.map(wrap)
  }

  #step(step: Step): ReadonlyArray<Node> {
    const known = this.#plan.shared === "chains" ? this.#shared.steps.get(step) : undefined
    const nodes = known ?? this.#makeStep(step)
    this.#shared.steps.set(step, nodes)
    const isGiven = step.members.some(hasRequirement) && !step.isStrict && !step.isPrebuilt
    return isGiven ? nodes.map((node) => this.#given(node)) : nodes
  }

  #base(): ReadonlyArray<Node> {
    const { flag, isApi, isBaseShared } = this.#plan
    const make = (): Node => (isApi ? { is: "api", api: this.#shared.api } : { is: "route", path: "/main" })
    const base = isBaseShared ? this.#shared.once("base", make) : make()
    if (flag === undefined) return [base]
    const source = (): Node => (flag.isApi ? { is: "api", api: this.#shared.late } : { is: "route", path: "/flagged" })
    const of = flag.isShared ? this.#shared.once("flagged", source) : source()
    const flagged: Node = { is: "flag", how: flag.how, isOn: flag.isOn, of }
    // Handlers are built even if the flag leaves out their api. That is healthy.
    const late = this.#shared.once("late", () => ({ is: "group", api: this.#shared.late, name: "main" }))
    const guard = this.#given(requirementOf(this.#values, "flag"))
    return [base, provide(flag.isApi ? provide(flagged, late) : flagged, guard)]
  }

  /** The routes with everything that the steps provide. */
  #chain(nested: ReadonlyArray<Node>): Node {
    const { apps, handlersAt, isApi, mistake, place, securedAt, steps } = this.#plan
    const mistakeAt = steps.findIndex(
      ({ isStrict, members }) => !isStrict && members.every(({ is }) => is !== "services")
    )
    let node = mergeAll(...this.#base(), ...nested)
    for (let i = 0; i <= steps.length; i++) {
      if (isApi && handlersAt === i) node = this.#handled(node)
      if (place === i) node = provide(node, this.#authentication)
      if (securedAt === i) node = { is: "secured", of: node }
      const step = steps[i]
      if (step === undefined) break
      const isLast = (list: ReadonlyArray<unknown>, j: number) => j === list.length - 1
      const layers = this.#step(step)
        .map((layer, j, all) =>
          mistake?.on === "middleware" && i === mistakeAt && isLast(all, j) ? this.#mistaken(layer) : layer
        )
        .map((layer) => (place === "last step" && isLast(steps, i) ? provideMerge(layer, this.#authentication) : layer))
      node = step.merge ? provideMerge(node, ...layers) : provide(node, ...layers)
    }
    const hasOneMore = apps[this.#app]?.hasOneMore ?? false
    return hasOneMore ? provide(node, this.#given(requirementOf(this.#values, "oneMore"))) : node
  }

  #routes(nested: ReadonlyArray<Node>): Node {
    const { apps, handlersAt, isAppShared, place, steps } = this.#plan
    const chain = isAppShared ? this.#shared.once("chain", () => this.#chain(nested)) : this.#chain(nested)
    const isOutsideOfLastStep =
      apps[this.#app]?.hasOneMore === true || handlersAt === steps.length || steps.length === 0
    const isAround = place === "routes" || (place === "last step" && isOutsideOfLastStep)
    const around = typeof place === "number" ? [this.#shared.strict] : isAround ? [this.#authentication] : []
    return provide(provide(chain, ...around), { is: "prefix", app: this.#app })
  }

  #outside(node: Node): Node {
    const { handlersAt, isApi, place } = this.#plan
    const hasHandlers = isApi && handlersAt === "server"
    const handled = hasHandlers ? this.#handled(node) : node
    const isAround = place === "outside" || (hasHandlers && place !== "handlers" && place !== "all")
    return isAround ? provide(handled, this.#authentication) : handled
  }

  /** The app for a router that several apps share. */
  mounted(): Node {
    return this.#outside(this.#routes([]))
  }

  /** The app in a server of its own. */
  served(nested: ReadonlyArray<Node> = []): Node {
    const { isNestedInside } = this.#plan
    const routes = isNestedInside ? this.#routes(nested) : mergeAll(this.#routes([]), ...nested)
    return this.#outside({ is: "server", app: this.#app, of: routes })
  }
}

const buildsOf = (shared: Shared): ReadonlyArray<Build> => {
  const { apps, isSurrounded, place, securedAt, topology } = shared.plan
  const numbers = apps.map((_, i) => i)
  const all = numbers.map((i) => new App(shared, i))
  const services: Node = { is: "prebuilt", of: { is: "services", count: 2 } }
  const around = (node: Node): Node => {
    const authenticated = place === "all" ? provide(node, shared.authentications[0] as Node) : node
    return isSurrounded ? provide(authenticated, services) : authenticated
  }
  switch (topology) {
    case "prefixes": {
      const node = mergeAll(...all.map((app) => app.mounted()))
      return [{ node: around(securedAt === "all" ? { is: "secured", of: node } : node), apps: numbers }]
    }
    case "servers":
      return [{ node: around(mergeAll(...all.map((app) => app.served()))), apps: [] }]
    case "nested": {
      const nested = all.reduceRight<ReadonlyArray<Node>>((inner, app) => [app.served(inner)], [])
      return [{ node: around(mergeAll(...nested)), apps: [] }]
    }
    case "builds":
      return all.map((app, i) => ({ node: around(app.mounted()), apps: [i] }))
    case "forks":
      return all.map((app) => ({ node: around(app.served()), apps: [] }))
  }
}

const assemble = (plan: Plan): Program => {
  const shared = new Shared(plan)
  const tokens = shared.verifiers.flatMap(({ tokens }) => (tokens === "stub" ? [] : Object.values(tokens)))
  return {
    seed: plan.seed,
    topology: `${plan.topology}, authentication: ${plan.place}`,
    builds: buildsOf(shared),
    tokens: Array.from(new Set([...tokens.flatMap(Object.keys), "strict"]))
  }
}

/** Makes a random program. The same seed makes the same program. */
export const programOf = (seed: number): Program => assemble(planOf(seed, false))

/** Makes a random program of one app without requirements. */
export const plainProgramOf = (seed: number): Program => assemble(planOf(seed, true))
