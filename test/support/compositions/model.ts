/**
 * Computes what a program declares, without the library. The model evaluates layers as if Effect memoized nothing, so
 * each place has the services that are provided innermost around that place.
 */
import type { Api, Key, Middleware, Node, Plain, Program, Requirement, Scheme, Scope, Verifier } from "./program.ts"
import { leaves, places } from "./program.ts"

/** A requirement at one place, and the verifier that the requirement must use there. */
export interface Guard {
  readonly is: "guard"
  readonly requirement: Requirement
  readonly verifier: Verifier
}

type Link = Guard | Plain

/** The layer of a middleware, built at one place. Both lists are innermost first. */
interface Around {
  readonly of: Middleware
  readonly declared: ReadonlyArray<Link>
  /** The stack in the context of `HttpRouter`. */
  readonly stack: ReadonlyArray<Link>
  /** The requirements that are provided to the layer itself. */
  readonly given: ReadonlySet<Requirement>
}

/** Handlers of a group, built at one place. */
interface Handlers {
  readonly verifier: Verifier | undefined
  readonly given: ReadonlySet<Requirement>
}

/** The services that a layer gets or provides. `around` is outermost first, like the keys of a context. */
interface Services {
  readonly around: ReadonlyArray<Around>
  readonly handlers: ReadonlyMap<string, Handlers>
  readonly verifier?: Verifier
  readonly app?: number
  readonly router?: object
}

const none: Services = { around: [], handlers: new Map() }

const merge = (self: Services, that: Services): Services => ({
  ...self,
  ...that,
  around: that.around.reduce(addAround, self.around),
  handlers: new Map([...self.handlers, ...that.handlers])
})

/**
 * Adds a middleware. A middleware that is provided again stays at its outer place, like a key in `Context.merge`. A
 * requirement that is provided again guards at both places.
 */
const addAround = (list: ReadonlyArray<Around>, one: Around): ReadonlyArray<Around> => {
  const place = one.of.is === "requirement" ? -1 : list.findIndex(({ of }) => of === one.of)
  return place < 0 ? [...list, one] : list.with(place, one)
}

/** A route at one place. */
export interface Route {
  readonly app: number
  readonly path: string
  readonly handler: string
  /** The layer that adds the route. If several places share the layer, Effect may add the route at one of them only. */
  readonly source: Node
  /** Requirements and middleware around the handler as they are declared, outermost first. */
  readonly chain: ReadonlyArray<Link | Key>
  /** The plain middleware in the order in which `HttpRouter` applies it, outermost first. */
  readonly applied: ReadonlyArray<string>
  /** The verifier for a handler that verifies the token itself. */
  readonly asks: Verifier | undefined
}

/** A reason why the program must not start. */
export interface Refusal {
  readonly why: "order" | "misplaced" | "secured"
  readonly requirement?: Requirement
}

export interface Meaning {
  readonly routes: ReadonlyArray<Route>
  readonly refusals: ReadonlyArray<Refusal>
  /** The groups that are built, with the verifier around each group. */
  readonly groups: ReadonlyArray<{ readonly node: Node; readonly verifier: Verifier | undefined }>
}

// `HttpRouter` aligns the stacks of combined middleware by depth. `compositions.test.ts` compares the three functions
// below with `HttpRouter`.

/** Returns the middleware innermost first. The deepest middleware of any stack is outermost. */
const align = (stacks: ReadonlyArray<ReadonlyArray<Link>>): ReadonlyArray<Link> => {
  const depth = Math.max(0, ...stacks.map((stack) => stack.length))
  const outermostFirst = new Set<Link>()
  for (let i = depth - 1; i >= 0; i--) {
    for (const stack of stacks) if (stack[i] !== undefined) outermostFirst.add(stack[i] as Link)
  }
  return Array.from(outermostFirst).toReversed()
}

/** Returns the innermost value, and the values that `combine` has added in the order of the calls. */
const parts = (middleware: Middleware): readonly [Requirement | Plain, ReadonlyArray<Middleware>] => {
  if (middleware.is !== "combined") return [middleware, []]
  const [own, combined] = parts(middleware.inner)
  return [own, [...combined, middleware.outer]]
}

const stackOf = (middleware: Middleware, link: (leaf: Requirement | Plain) => Link): ReadonlyArray<Link> => {
  const [own, combined] = parts(middleware)
  // `combine` adds a layer with `Layer.provideMerge`, so the context has the last layer first.
  const stacks = new Map(combined.toReversed().map((other) => [other, stackOf(other, link)]))
  return [link(own), ...align(Array.from(stacks.values()))]
}

class World {
  readonly routes: Array<Route & { readonly router: object }> = []
  readonly refusals: Array<Refusal> = []
  readonly groups: Array<Meaning["groups"][number]> = []

  evaluate(node: Node, services: Services): Services {
    switch (node.is) {
      case "route":
        this.#add(node, services, { path: node.path, handler: node.path, inner: [], asks: undefined })
        return none
      case "api":
        this.#mount(node, node.api, services)
        return none
      case "group": {
        const handlers = { verifier: services.verifier, given: requirementsOf(services) }
        this.groups.push({ node, verifier: services.verifier })
        return { ...none, handlers: new Map([[`${node.api.id}.${node.name}`, handlers]]) }
      }
      case "middleware": {
        const guards = new Map(
          leaves(node.of).flatMap((leaf) => (leaf.is === "requirement" ? [[leaf, guardOf(leaf, services)]] : []))
        )
        const link = (leaf: Requirement | Plain): Link => (leaf.is === "plain" ? leaf : (guards.get(leaf) as Guard))
        const around: Around = {
          of: node.of,
          declared: leaves(node.of).map(link),
          stack: stackOf(node.of, link),
          given: requirementsOf(services)
        }
        return { ...none, around: [around] }
      }
      case "authentication":
        return { ...none, verifier: node.by }
      case "prefix":
        return { ...none, app: node.app }
      case "services":
      case "database":
        return none
      case "provide": {
        const that = node.that.map((one) => this.evaluate(one, services)).reduce(merge)
        const self = this.evaluate(node.self, merge(services, that))
        return node.merge ? merge(that, self) : self
      }
      case "mergeAll":
        return given(node.of.map((one) => this.evaluate(one, services)).reduce(merge), services)
      case "fresh":
        return this.evaluate(node.of, services)
      case "prebuilt":
        return this.evaluate(node.of, none)
      case "flag":
        return node.isOn ? this.evaluate(node.of, services) : none
      case "server":
        this.evaluate(node.of, { ...services, router: {} })
        return none
      case "secured": {
        const from = this.routes.length
        const result = this.evaluate(node.of, services)
        const seen = this.routes.slice(from).filter(({ router }) => router === services.router)
        const isRight = ({ chain, handler }: Route) => chain.some(({ is }) => is === "guard") !== (handler === "opened")
        if (seen.length === 0 || !seen.every(isRight)) this.refusals.push({ why: "secured" })
        return result
      }
    }
  }

  #mount(source: Node, api: Api, services: Services): void {
    for (const name of api.groups) {
      const handlers = services.handlers.get(`${api.id}.${name}`)
      if (handlers === undefined) throw new Error(`The model found no handlers of the group ${name}.`)
      this.#assertApplied(handlers.given, services)
      const outermostFirst = name === "main" ? api.levels.flat().toReversed() : []
      const inner = outermostFirst.map((one) =>
        one.is === "key" ? one : guardOf(one, { ...none, ...(handlers.verifier && { verifier: handlers.verifier }) })
      )
      this.#add(source, services, {
        path: name === "main" ? api.path : `${api.path}/${name}`,
        handler: name,
        inner,
        asks: name === "opened" ? handlers.verifier : undefined
      })
    }
  }

  #add(
    source: Node,
    services: Services,
    { asks, handler, inner, path }: Pick<Route, "asks" | "handler" | "path"> & { inner: ReadonlyArray<Guard | Key> }
  ): void {
    const { app, around, router } = services
    if (app === undefined || router === undefined) throw new Error("The model found no router.")
    const declared = around.flatMap((one) => one.declared.toReversed())
    const applied = align(around.map(({ stack }) => stack)).toReversed()
    for (const { given } of around) this.#assertApplied(given, services)
    for (const [i, guard] of declared.entries()) {
      if (guard.is !== "guard") continue
      const isOutside = (link: Link) =>
        link.is === "plain" && declared.indexOf(link) > i && applied.indexOf(link) < applied.indexOf(guard)
      if (declared.some(isOutside)) this.refusals.push({ why: "order", requirement: guard.requirement })
    }
    this.routes.push({
      app,
      path,
      handler,
      source,
      chain: [...declared, ...inner],
      applied: applied.flatMap((link) => (link.is === "plain" ? [link.name] : [])),
      asks,
      router
    })
  }

  /** A requirement that handlers or a middleware were given guards nothing, if it is not around the routes. */
  #assertApplied(given: ReadonlySet<Requirement>, services: Services): void {
    const applied = requirementsOf(services)
    for (const requirement of given) {
      if (!applied.has(requirement)) this.refusals.push({ why: "misplaced", requirement })
    }
  }
}

/**
 * Notes the requirements that are provided to handlers and middleware as a whole, so that prebuilt ones among them get
 * it, too.
 */
const given = (merged: Services, services: Services): Services => {
  const requirements = requirementsOf(services)
  const add = <T extends { readonly given: ReadonlySet<Requirement> }>(one: T): T => ({
    ...one,
    given: new Set([...one.given, ...requirements])
  })
  return {
    ...merged,
    around: merged.around.map(add),
    handlers: new Map(Array.from(merged.handlers, ([name, handlers]) => [name, add(handlers)]))
  }
}

const guardOf = (requirement: Requirement, { verifier }: Services): Guard => {
  if (verifier === undefined) throw new Error(`The model found no verifier for ${requirement.name}.`)
  return { is: "guard", requirement, verifier }
}

const requirementsOf = (services: Services): ReadonlySet<Requirement> =>
  new Set(
    services.around.flatMap(({ declared }) =>
      declared.flatMap((link) => (link.is === "guard" ? [link.requirement] : []))
    )
  )

/** Returns `true` if `OAuth2.secured` refuses the api itself. */
const isApiRefused = ({ groups, isSecured, levels }: Api): boolean =>
  isSecured && (groups.includes("health") || !levels.flat().some(({ is }) => is === "requirement"))

export const meaningOf = (program: Program): Meaning => {
  const world = new World()
  if (places(program).some((node) => node.is === "api" && isApiRefused(node.api)))
    world.refusals.push({ why: "secured" })
  for (const { node } of program.builds) world.evaluate(node, { ...none, router: {} })
  const { groups, refusals, routes } = world
  // Several routes may have the same refusal.
  const isFirst = ({ requirement, why }: Refusal, i: number) =>
    i === refusals.findIndex((other) => other.requirement === requirement && other.why === why)
  return { groups, routes, refusals: refusals.filter(isFirst) }
}

/** Returns the scopes that a verifier finds in a token, or `undefined` if the verifier refuses the token. */
export const scopesOf = (
  { tokens }: Verifier,
  scheme: Scheme,
  token: string | undefined
): ReadonlyArray<Scope> | undefined => {
  if (tokens === "stub") return ["read", "write"]
  return token !== undefined && Object.hasOwn(tokens[scheme], token) ? tokens[scheme][token] : undefined
}

/** Returns `true` if a request meets a requirement. The token must have the `outer` scopes, too. */
const isMet = (
  { requirement: { optional, parts }, verifier }: Guard,
  token: string | undefined,
  outer: Requirement["parts"] = []
): boolean =>
  (optional && token === undefined) ||
  parts.some((part) => {
    const scopes = scopesOf(verifier, part.scheme, token)
    return [part, ...outer].every(({ scheme, scope }) => scheme !== part.scheme || scopes?.includes(scope))
  })

/** Returns the requirements around a name. If the name is declared twice, the outer place counts. */
const guardsOf = ({ chain }: Route, name: string): ReadonlyArray<Guard> => {
  const place = chain.findIndex((link) => link.is !== "guard" && link.name === name)
  return chain.slice(0, place < 0 ? chain.length : place).flatMap((link) => (link.is === "guard" ? [link] : []))
}

/** Returns `true` if a request may reach the middleware or the handler with this name. */
export const mayReach = (route: Route, name: string, token: string | undefined): boolean =>
  guardsOf(route, name).every((guard) => isMet(guard, token))

/**
 * Returns `true` if a request must reach the handler. The scopes of nested requirements add up. So an inner verifier
 * must find the outer scopes, too. This matters if two verifiers of one route find different scopes in one token.
 */
export const mustReach = (route: Route, token: string | undefined): boolean => {
  const guards = guardsOf(route, route.handler)
  const necessary = guards.map(({ requirement: { parts } }) => (parts.length === 1 ? parts : []))
  return guards.every((guard, i) => isMet(guard, token, necessary.slice(0, i).flat()))
}
