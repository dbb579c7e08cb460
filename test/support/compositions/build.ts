/** Turns a program into layers, builds the layers, and sends requests. All of this happens in process. */
import { Context, Effect, Layer, Option, Schema } from "effect"
import { HttpEffect, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import { AccessToken, OAuth2, TokenVerifier, SecurityError } from "effect-oauth2"
import * as Redacted from "effect/Redacted"
import { authorizationServer } from "../authorizationServer.ts"
import { verified } from "../TestVerifier.ts"
import type { Api, Key, Middleware, Node, Program, Requirement, Scheme, Tokens, Verifier } from "./program.ts"
import { inside, places, requirementsOf } from "./program.ts"

// The compiler cannot follow random compositions, so the types of layers end here.
type AnyLayer = Layer.Layer<never, any, any>
type Handle = (request: Request) => Promise<Response>

class K0 extends HttpApiMiddleware.Service<K0>()("test/K0") {}
class K1 extends HttpApiMiddleware.Service<K1>()("test/K1") {}
class K2 extends HttpApiMiddleware.Service<K2>()("test/K2") {}
class K3 extends HttpApiMiddleware.Service<K3>()("test/K3") {}
const keys: Readonly<Record<string, any>> = { K0, K1, K2, K3 }

class Database extends Context.Service<Database, object>()("test/Database") {}

let services = 0

/** The names that a request has reached, outermost first, and the subject of the token that the handler saw. */
export interface Reached {
  readonly names: ReadonlyArray<string>
  readonly subject: string | undefined
  readonly status: number
}

/** A program that was built. */
export class Running {
  readonly program: Program
  /** Counts how often a database, or the handlers of a group, were built. */
  readonly builds = new Map<Node, number>()
  #names: Array<string> = []
  #subject: string | undefined
  readonly #users = scheme("Users")
  readonly #partners = scheme("Partners")
  readonly #hasPartners: boolean
  readonly #handles = new Map<number, Handle>()
  readonly #layers = new Map<Node, AnyLayer>()
  /** Holds requirements, too. */
  readonly #middleware = new Map<Middleware, any>()
  readonly #verifiers = new Map<Verifier, Readonly<Record<Scheme, AnyLayer>>>()
  readonly #apis = new Map<Api, any>()

  private constructor(program: Program) {
    this.program = program
    this.#hasPartners = requirementsOf(program).some(({ parts }) => parts.some(({ scheme }) => scheme === "Partners"))
  }

  static readonly start = Effect.fnUntraced(function* (program: Program) {
    const self = new Running(program)
    for (const node of places(program)) yield* self.#prebuild(node)
    const memoMap = yield* Layer.makeMemoMap
    const scope = yield* Effect.scope
    for (const { apps, node } of program.builds) {
      const layer = Layer.provide(self.#layer(node), HttpServer.layerServices)
      if (apps.length === 0) yield* Layer.buildWithMemoMap(layer, memoMap, scope)
      else {
        const context = yield* Layer.buildWithMemoMap(Layer.provideMerge(layer, HttpRouter.layer), memoMap, scope)
        const handle = HttpEffect.toWebHandler(Context.get(context, HttpRouter.HttpRouter).asHttpEffect())
        for (const app of apps) self.#handles.set(app, handle)
      }
    }
    return self
  })

  readonly send = Effect.fnUntraced({ self: this }, function* (app: number, path: string, token: string | undefined) {
    this.#names = []
    this.#subject = undefined
    const handle = this.#handles.get(app)
    if (handle === undefined) throw new Error(`The app ${app} was not built.`)
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = yield* Effect.promise(() => handle(new Request(`http://localhost/app${app}${path}`, { headers })))
    const reached: Reached = { names: this.#names, subject: this.#subject, status: response.status }
    return reached
  })

  readonly #around = (name: string) => (handler: Effect.Effect<any>) =>
    Effect.suspend(() => {
      this.#reach(name)
      return handler
    })

  readonly #handler = (name: string) =>
    Effect.map(Effect.serviceOption(AccessToken), (token) => {
      this.#reach(name)
      this.#see(Option.getOrUndefined(token))
      return "ok"
    })

  /** A handler that verifies the token itself, without a requirement. */
  readonly #asking = (name: string, asks: Api["asks"]) => {
    const ask: Effect.Effect<Option.Option<{ readonly subject: string }>, unknown, any> = {
      authorizeOption: this.#users.authorizeOption,
      prove: this.#users.prove()(Effect.option(AccessToken)),
      layerRequest: Effect.provide(Effect.option(AccessToken), this.#users.layerRequest as AnyLayer)
    }[asks]
    return Effect.andThen(
      Effect.sync(() => this.#reach(name)),
      Effect.map(ask, (token) => {
        this.#see(Option.getOrUndefined(token))
        return "ok"
      })
    )
  }

  #count(node: Node): void {
    this.builds.set(node, (this.builds.get(node) ?? 0) + 1)
  }

  #reach(name: string): void {
    this.#names.push(name)
  }

  #see(token: { readonly subject: string } | undefined): void {
    this.#subject = token?.subject
  }

  /** Builds the contexts of prebuilt layers, innermost first. */
  #prebuild(node: Node): Effect.Effect<void, any, any> {
    return Effect.gen({ self: this }, function* () {
      if (this.#layers.has(node)) return
      for (const one of inside(node)) yield* this.#prebuild(one)
      if (node.is !== "prebuilt") return
      const layer = Layer.provide(this.#layer(node.of), HttpServer.layerServices)
      this.#layers.set(node, Layer.succeedContext(yield* Layer.build(layer)))
    })
  }

  #layer(node: Node): AnyLayer {
    const known = this.#layers.get(node)
    if (known !== undefined) return known
    const layer = this.#make(node)
    this.#layers.set(node, layer)
    return layer
  }

  #make(node: Node): AnyLayer {
    switch (node.is) {
      case "route":
        return HttpRouter.add("GET", node.path, Effect.map(this.#handler(node.path), HttpServerResponse.text))
      case "api":
        return HttpApiBuilder.layer(this.#api(node.api))
      case "group":
        return this.#group(node)
      case "middleware":
        return this.#middlewareOf(node.of).layer
      case "authentication":
        return this.#authentication(node.by)
      case "services":
        return Layer.mergeAll(
          Layer.empty,
          ...Array.from({ length: node.count }, () => Layer.succeed(Context.Service<any, any>(`test/${services++}`), 1))
        )
      case "database":
        return Layer.effect(
          Database,
          Effect.sync(() => {
            this.#count(node)
            return {}
          })
        )
      case "provide": {
        const that = node.that.map((one) => this.#layer(one))
        const provide: any = node.merge ? Layer.provideMerge : Layer.provide
        return provide(this.#layer(node.self), that.length === 1 ? that[0] : that)
      }
      case "mergeAll":
        return Layer.mergeAll(...(node.of.map((one) => this.#layer(one)) as [AnyLayer]))
      case "fresh":
        return Layer.fresh(this.#layer(node.of))
      case "secured":
        return (OAuth2.secured as any)(this.#layer(node.of))
      case "prefix":
        return Layer.effect(
          HttpRouter.HttpRouter,
          Effect.map(HttpRouter.HttpRouter, (router) => router.prefixed(`/app${node.app}`))
        )
      case "server":
        return Layer.effectDiscard(
          Effect.map(HttpRouter.toHttpEffect(this.#layer(node.of)), (effect) => {
            this.#handles.set(node.app, HttpEffect.toWebHandler(effect as any))
          })
        )
      case "flag": {
        const layer = () => (node.isOn ? this.#layer(node.of) : Layer.empty)
        return node.how === "condition" ? layer() : Layer.unwrap(Effect.sync(layer))
      }
      case "prebuilt":
        throw new Error("A prebuilt layer is built before the program.")
    }
  }

  /** Returns the middleware for `HttpRouter`. */
  #middlewareOf(middleware: Middleware): any {
    if (middleware.is === "requirement") return this.#requirementOf(middleware).route
    const known = this.#middleware.get(middleware)
    if (known !== undefined) return known
    const made =
      middleware.is === "plain"
        ? HttpRouter.middleware(this.#around(middleware.name) as any)
        : this.#middlewareOf(middleware.inner).combine(this.#middlewareOf(middleware.outer))
    this.#middleware.set(middleware, made)
    return made
  }

  #requirementOf(requirement: Requirement): any {
    const known = this.#middleware.get(requirement)
    if (known !== undefined) return known
    const parts = requirement.parts.map(({ scheme, scope }): any => {
      const auth: any = scheme === "Users" ? this.#users : this.#partners
      return requirement.optional ? auth.optional(scope) : auth.require(scope)
    })
    const made = parts.length === 1 ? parts[0] : (OAuth2.either as any)(...parts)
    this.#middleware.set(requirement, made)
    return made
  }

  #keyOf(one: Requirement | Key): any {
    return one.is === "key" ? keys[one.name] : this.#requirementOf(one)
  }

  #api(api: Api): any {
    const known = this.#apis.get(api)
    if (known !== undefined) return known
    const add = (to: any, list: Api["levels"][number]) =>
      list.reduce<any>((to, one) => to.middleware(this.#keyOf(one)), to)
    const [endpoint, group, levels] = api.levels
    const get = (name: string, path: `/${string}`) => HttpApiEndpoint.get(name, path, { success: Schema.String })
    let made: any = HttpApi.make(api.id)
    made = add(made.add(add(HttpApiGroup.make("main").add(add(get("main", api.path), endpoint)), group)), levels)
    if (api.groups.includes("opened")) {
      const open = get("opened", `${api.path}/opened`).middleware(OAuth2.Public("a test reads it"))
      made = made.add(HttpApiGroup.make("opened").add(open))
    }
    if (api.groups.includes("health")) {
      made = made.add(HttpApiGroup.make("health").add(get("health", `${api.path}/health`)))
    }
    if (api.isSecured) made = OAuth2.secured(made)
    this.#apis.set(api, made)
    return made
  }

  #group(node: Node & { readonly is: "group" }): AnyLayer {
    const { api, name } = node
    const handler: any = name === "opened" ? this.#asking(name, api.asks) : this.#handler(name)
    return HttpApiBuilder.group(this.#api(api), name, ((handlers: any) =>
      Effect.sync(() => {
        this.#count(node)
        return handlers.handle(name, () => handler)
      })) as any).pipe(
      Layer.provide(
        Layer.mergeAll(
          Layer.empty,
          ...Object.entries(keys).map(([name, key]) => Layer.succeed(key, this.#around(name)))
        )
      )
    ) as AnyLayer
  }

  /** Each verifier and each stub has one layer, which all its places share. */
  #authentication(by: Verifier): AnyLayer {
    const layers = this.#verifiers.get(by) ?? this.#verifiersOf(by)
    this.#verifiers.set(by, layers)
    if (by.tokens === "stub") return this.#hasPartners ? Layer.merge(layers.Users, layers.Partners) : layers.Users
    const auth = this.#users.layer(layers.Users as Layer.Layer<TokenVerifier>)
    return this.#hasPartners
      ? Layer.merge(auth, this.#partners.layer(layers.Partners as Layer.Layer<TokenVerifier>))
      : auth
  }

  #verifiersOf({ tokens }: Verifier): Readonly<Record<Scheme, AnyLayer>> {
    if (tokens !== "stub") return { Users: verifierOf(tokens.Users), Partners: verifierOf(tokens.Partners) }
    const token = { scopes: ["read", "write"] } as const
    return { Users: this.#users.layerTest(token), Partners: this.#partners.layerTest(token) }
  }
}

const scheme = <const Name extends string>(name: Name) =>
  OAuth2.authorizationCode(name, { ...authorizationServer, scopes: { read: "", write: "" } })

const verifierOf = (tokens: Tokens): AnyLayer =>
  TokenVerifier.layer({
    cache: false,
    verify: (token) => {
      const name = Redacted.value(token)
      const scopes = Object.hasOwn(tokens, name) ? tokens[name] : undefined
      return scopes === undefined
        ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
        : Effect.succeed(verified(name, scopes))
    }
  })
