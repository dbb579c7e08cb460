/**
 * Programs of composed layers, as data. `model.ts` computes what a program declares, `build.ts` turns it into layers,
 * and `text.ts` prints it.
 */

export type Scope = "read" | "write"

export type Scheme = "Users" | "Partners"

/** A value of `auth.require` or `auth.optional`. With several parts it is a value of `OAuth2.either`. */
export interface Requirement {
  readonly is: "requirement"
  readonly name: string
  readonly parts: ReadonlyArray<{ readonly scheme: Scheme; readonly scope: Scope }>
  readonly optional: boolean
}

/** Middleware of `HttpRouter` that is not from the library. */
export interface Plain {
  readonly is: "plain"
  readonly name: string
}

/** `inner.combine(outer)`. */
export interface Combined {
  readonly is: "combined"
  readonly inner: Middleware
  readonly outer: Middleware
}

export type Middleware = Requirement | Plain | Combined

/** A middleware key of `HttpApi`. */
export interface Key {
  readonly is: "key"
  readonly name: string
}

export type Tokens = Readonly<Record<string, ReadonlyArray<Scope>>>

/** The verifiers of both schemes. A stub (`auth.layerTest`) gives every request a token with both scopes. */
export interface Verifier {
  readonly name: string
  readonly tokens: Readonly<Record<Scheme, Tokens>> | "stub"
}

export type GroupName = "main" | "opened" | "health"

export interface Api {
  readonly id: string
  readonly path: `/${string}`
  /** The middleware of the endpoint in the group `main`. Each list is innermost first. */
  readonly levels: readonly [
    endpoint: ReadonlyArray<Requirement | Key>,
    group: ReadonlyArray<Requirement | Key>,
    api: ReadonlyArray<Requirement | Key>
  ]
  /** `opened` has a `Public` endpoint whose handler verifies the token. `health` has an endpoint without a mark. */
  readonly groups: ReadonlyArray<GroupName>
  /** The function that the handler in `opened` uses. */
  readonly asks: "authorizeOption" | "prove" | "layerRequest"
  /** Calls `OAuth2.secured` with the api. */
  readonly isSecured: boolean
}

/** A layer. If two places hold the same object, they share the layer by reference. */
export type Node =
  | { readonly is: "route"; readonly path: `/${string}` }
  | { readonly is: "api"; readonly api: Api }
  | { readonly is: "group"; readonly api: Api; readonly name: GroupName }
  | { readonly is: "middleware"; readonly of: Middleware }
  | { readonly is: "authentication"; readonly by: Verifier }
  | { readonly is: "services"; readonly count: number }
  /** A service whose layer counts how often it is built. */
  | { readonly is: "database" }
  /** `Layer.provide(self, that)` or `Layer.provideMerge`. */
  | { readonly is: "provide"; readonly self: Node; readonly that: ReadonlyArray<Node>; readonly merge: boolean }
  | { readonly is: "mergeAll"; readonly of: ReadonlyArray<Node> }
  | { readonly is: "fresh"; readonly of: Node }
  | { readonly is: "secured"; readonly of: Node }
  /** A router whose routes have the prefix of an app. */
  | { readonly is: "prefix"; readonly app: number }
  /** A server of its own: `HttpRouter.toHttpEffect`, as `HttpRouter.serve` builds it. */
  | { readonly is: "server"; readonly app: number; readonly of: Node }
  /** A feature flag. `Layer.unwrap` decides during the build, and a JavaScript condition decides before the build. */
  | { readonly is: "flag"; readonly how: "unwrap" | "condition"; readonly isOn: boolean; readonly of: Node }
  /** `Layer.succeedContext` of a context that was built before the program. */
  | { readonly is: "prebuilt"; readonly of: Node }

/** One build. `apps` lists the apps that the router of the build serves. A server has its own router. */
export interface Build {
  readonly node: Node
  readonly apps: ReadonlyArray<number>
}

export interface Program {
  readonly seed: number
  readonly topology: string
  /** All builds share one memo map. */
  readonly builds: ReadonlyArray<Build>
  /** The tokens that tests send. */
  readonly tokens: ReadonlyArray<string>
}

export const provide = (self: Node, ...that: ReadonlyArray<Node>): Node =>
  that.length === 0 ? self : { is: "provide", self, that, merge: false }

export const provideMerge = (self: Node, ...that: ReadonlyArray<Node>): Node =>
  that.length === 0 ? self : { is: "provide", self, that, merge: true }

export const mergeAll = (...of: ReadonlyArray<Node>): Node =>
  of.length === 1 ? (of[0] as Node) : { is: "mergeAll", of }

export const layerOf = (of: Middleware): Node => ({ is: "middleware", of })

/** Returns the nodes directly inside a node. */
export const inside = (node: Node): ReadonlyArray<Node> => {
  switch (node.is) {
    case "provide":
      return [node.self, ...node.that]
    case "mergeAll":
      return node.of
    case "fresh":
    case "secured":
    case "server":
    case "flag":
    case "prebuilt":
      return [node.of]
    default:
      return []
  }
}

/** Returns all nodes of a program, once for each place. */
export const places = (program: Program): ReadonlyArray<Node> => {
  const all = (node: Node): ReadonlyArray<Node> => [node, ...inside(node).flatMap(all)]
  return program.builds.flatMap(({ node }) => all(node))
}

/** Returns the values of a middleware, innermost first. */
export const leaves = (middleware: Middleware): ReadonlyArray<Requirement | Plain> =>
  middleware.is === "combined" ? [...leaves(middleware.inner), ...leaves(middleware.outer)] : [middleware]

/** Returns the requirements of a program, once for each place. */
export const requirementsOf = (program: Program): ReadonlyArray<Requirement> =>
  places(program).flatMap((node) => {
    const all = node.is === "middleware" ? leaves(node.of) : node.is === "api" ? node.api.levels.flat() : []
    return all.filter((one) => one.is === "requirement")
  })

/** Returns a copy that has its own layer and its own requirement at each place, so that no two places share a layer. */
export const unshared = (program: Program): Program => {
  const apis = new Map<Api, Api>()
  const apiOf = (api: Api): Api => {
    const known = apis.get(api)
    if (known !== undefined) return known
    const [endpoint, group, all] = api.levels.map((level) => level.map((one) => ({ ...one })))
    const made: Api = { ...api, levels: [endpoint ?? [], group ?? [], all ?? []] }
    apis.set(api, made)
    return made
  }
  const middlewareOf = (middleware: Middleware): Middleware => {
    if (middleware.is === "plain") return middleware
    if (middleware.is === "requirement") return { ...middleware }
    return { ...middleware, inner: middlewareOf(middleware.inner), outer: middlewareOf(middleware.outer) }
  }
  const copy = (node: Node): Node => {
    switch (node.is) {
      case "api":
      case "group":
        return { ...node, api: apiOf(node.api) }
      case "middleware":
        return { ...node, of: middlewareOf(node.of) }
      case "provide":
        return { ...node, self: copy(node.self), that: node.that.map(copy) }
      case "mergeAll":
        return { ...node, of: node.of.map(copy) }
      case "fresh":
      case "secured":
      case "server":
      case "flag":
      case "prebuilt":
        return { ...node, of: copy(node.of) }
      default:
        return { ...node }
    }
  }
  return { ...program, builds: program.builds.map(({ apps, node }) => ({ apps, node: copy(node) })) }
}
