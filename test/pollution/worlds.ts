/** Programs that refuse credentials for every possible reason, and the probes for them. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { DateTime, Effect, Exit, Layer, Logger, Option, Redacted, Schema, Scope } from "effect"
import { HttpClient, HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
import {
  AccessToken,
  BearerToken,
  JwtVerifier,
  KeySet,
  OAuth2,
  Requirement,
  SecurityError,
  TokenIntrospection,
  Signatures,
  TokenVerifier,
  type VerifiedToken
} from "effect-oauth2"
import type * as jose from "jose"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
import { authorizationServer } from "../support/authorizationServer.ts"
import {
  audience,
  client,
  hmacs,
  issuer,
  jwk,
  jwts,
  lacking,
  ofLacking,
  opaque,
  secret,
  type Tokens
} from "./tokens.ts"
import { fromContext } from "../support/contextVerifier.ts"

/** `failed` means that the program could not be built. */
export type Outcome = "accepted" | "refused" | "failed"

/** Reports the outcome of a probe, with the status or the reason of the error. */
export type End = (outcome: Outcome, why: string) => void

/** One request to a program, or one token for a verifier. */
export interface Probe {
  readonly name: string
  /** `true` if a program that is not polluted accepts the probe. */
  readonly isGood: boolean
  /** The expected status or reason. */
  readonly why: string
  readonly run: (end: End) => void
}

/** A program that was built, with its probes. */
export interface World {
  readonly probes: ReadonlyArray<Probe>
  readonly dispose: () => void
}

/** Functions that build programs, by name. */
export type Worlds = Readonly<Record<string, () => World>>

/** Returns options without a prototype. The options that the tests pass to Effect are not under test. */
const bare = <A extends object>(options: A): A => Object.assign(Object.create(null), options) as A

const Quiet = Logger.layer([])

// -- guards ----------------------------------------------------------------------------------------------------------

const scopesOf: ReadonlyMap<string, string> = new Map([
  ["reader", "read"],
  ["without-scopes", ""]
])
const expiresAt = DateTime.makeUnsafe("2100-01-01T00:00:00Z")

const verify: TokenVerifier["Service"]["verify"] = (token) => {
  const subject = Redacted.value(token)
  const scopes = scopesOf.get(subject)
  return scopes === undefined
    ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
    : Effect.succeed(AccessToken.make({ subject, scopes, issuer, expiresAt, claims: { tenant: "t", nested: {} } }))
}

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse>
type AnyLayer = Layer.Layer<never, never, any>

/** Removes the types, because some of these programs would not compile. */
const cast = (effect: Effect.Effect<unknown, unknown, any>): Handler =>
  Effect.as(effect as Effect.Effect<unknown>, HttpServerResponse.text("in"))

class Between extends HttpApiMiddleware.Service<Between>()("test/Between") {}

const between = <E, R>(handler: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  Effect.andThen(Effect.void, handler)

/** A flag that the program never sets. It is polluted on purpose, which shows that the tests detect a pollution. */
const flags: { readonly isOpenToAll?: boolean } = {}

const claims = Schema.Struct({
  tenant: Schema.String,
  admin: Schema.optionalKey(Schema.Unknown),
  nested: Schema.Struct({ admin: Schema.optionalKey(Schema.Unknown) })
})

interface Asked {
  readonly path: string
  readonly token: string | undefined
  readonly status: number
}

/**
 * Creates an `HttpRouter` app with an `HttpApi`, and its requests. Unless `isWhole`, only those that depend on the
 * verifier.
 */
const appOf = (isWhole: boolean) => {
  const auth = OAuth2.authorizationCode("Auth", {
    ...authorizationServer,
    scopes: { read: "", write: "", "of:{org}": "", "of:*": "" },
    wildcards: true,
    claims,
    responses: "rfc6750"
  })
  const other = OAuth2.clientCredentials("Other", {
    tokenUrl: authorizationServer.tokenUrl,
    scopes: { write: "" },
    responses: "rfc6750"
  })
  const never = Requirement.check("never", () => Effect.succeed(false))
  const later = auth.check("later", () => Effect.sync(() => false))

  const requirements = {
    scope: [auth.require("read"), ["without-scopes", "stranger", undefined]],
    check: [auth.require("read", never), ["reader"]],
    any: [auth.require(Requirement.any("write", never, Requirement.all("read", later))), ["reader"]],
    either: [OAuth2.either(auth.require("write"), other.require(never)), ["reader", undefined]],
    optional: [auth.optional("read"), ["without-scopes", "stranger"]],
    "optional-check": [auth.optional(never), ["reader"]],
    claim: [auth.require(auth.check("admin", ({ claims }) => Effect.succeed(claims.admin !== undefined))), ["reader"]],
    "nested-claim": [
      auth.require(auth.check("admin", ({ claims }) => Effect.succeed(claims.nested.admin !== undefined))),
      ["reader"]
    ],
    template: [auth.require(auth.scopeOf("of:{org}", Effect.succeed({} as { readonly org: string }))), ["reader"]],
    "unknown-claim": [
      other.require(Requirement.check("admin", ({ claims }) => Effect.succeed(claims["admin"] !== undefined))),
      ["reader"]
    ],
    flag: [auth.require(Requirement.check("flag", () => Effect.sync(() => flags.isOpenToAll === true))), ["reader"]]
  } as const

  const asked: Array<Asked> = []
  const ask = (path: string, ...refused: ReadonlyArray<string | undefined>) => {
    for (const token of refused) asked.push({ path, token, status: scopesOf.has(token ?? "") ? 403 : 401 })
  }
  const askMistaken = (path: string, ...tokens: ReadonlyArray<string | undefined>) => {
    for (const token of tokens) asked.push({ path, token, status: 500 })
  }

  const endpoint = (name: string) => HttpApiEndpoint.get(name, `/api/${name}`, { success: Schema.String })
  const endpoints: Array<any> = []
  const routes: Array<AnyLayer> = []
  const route = (name: string, ...around: ReadonlyArray<{ readonly layer: unknown }>) =>
    around.reduce<AnyLayer>(
      (route, { layer }) => Layer.provide(route, layer as AnyLayer),
      HttpRouter.add("GET", `/route/${name}`, cast(Effect.void))
    )

  const addOthers = () => {
    routes.push(route("inner", auth.require(never).route, HttpRouter.middleware(between), auth.require("read").route))
    endpoints.push(
      endpoint("inner").middleware(auth.require(never)).middleware(Between).middleware(auth.require("read")),
      endpoint("outer").middleware(auth.require("read")).middleware(Between).middleware(auth.require(never))
    )
    ask("/route/inner", "reader")
    ask("/api/inner", "reader")
    ask("/api/outer", "reader")

    const handlers = {
      prove: [auth.prove("write")(Effect.void), "reader", undefined],
      "prove-check": [auth.prove(never)(Effect.void), "reader"],
      authorize: [
        Effect.provide(auth.authorize, BearerToken.layer).pipe(auth.withScopes("write")),
        "reader",
        "stranger"
      ],
      authorizeOption: [auth.authorizeOption.pipe(auth.withScopes("write")), "reader", "stranger"],
      extract: [BearerToken.extract, undefined]
    } as const
    for (const [name, [effect, ...refused]] of Object.entries(handlers)) {
      routes.push(
        HttpRouter.add("GET", `/handler/${name}`, cast(effect)).pipe(
          HttpRouter.provideRequest(auth.layer(fromContext) as AnyLayer)
        )
      )
      ask(`/handler/${name}`, ...refused)
    }
    // These handlers contain a programming mistake, so they must not run.
    routes.push(
      HttpRouter.add("GET", "/mistake/granted", cast(auth.granted("read"))),
      HttpRouter.add("GET", "/mistake/token", cast(auth.token)),
      OAuth2.route("GET", "/mistake/sealed", cast(Effect.void)) as AnyLayer
    )
    askMistaken("/mistake/granted", "reader")
    askMistaken("/mistake/token", "reader")
    askMistaken("/mistake/sealed", "reader", undefined)
  }

  for (const [name, [requirement, refused]] of Object.entries(requirements)) {
    if (!isWhole && name !== "scope") continue
    routes.push(route(name, requirement.route))
    const open: any = endpoint(name)
    endpoints.push(open.middleware(requirement))
    ask(`/route/${name}`, ...refused)
    ask(`/api/${name}`, ...refused)
  }
  for (const path of ["/route/scope", "/api/scope"]) asked.push({ path, token: "reader", status: 200 })
  if (isWhole) addOthers()

  const Api: any = HttpApi.make("api").add(
    endpoints.reduce<any>((group, endpoint) => group.add(endpoint), HttpApiGroup.make("group"))
  )
  const Group = HttpApiBuilder.group(Api, "group", (handlers) =>
    endpoints.reduce<any>(
      (handlers, { identifier }) => handlers.handle(identifier, () => Effect.succeed("in")),
      handlers
    )
  )
  const app = Layer.mergeAll(
    Layer.empty,
    ...routes,
    HttpApiBuilder.layer(Api).pipe(
      Layer.provide(Group as unknown as AnyLayer),
      Layer.provide([HttpServer.layerServices, Layer.succeed(Between, between as any)])
    ) as AnyLayer
  ).pipe(Layer.provide([auth.layer(fromContext), other.layer(fromContext)]))
  return { app, asked }
}

const answer = (end: End, status: number): void => end(status < 400 ? "accepted" : "refused", `${status}`)

/** Sends requests to an app. */
interface Server {
  readonly send: (path: string, token: string | undefined) => Probe["run"]
  readonly dispose: () => Promise<void>
}

type App = Layer.Layer<never, never, HttpRouter.HttpRouter>

const web = (app: App): Server => {
  const { dispose, handler } = HttpRouter.toWebHandler(app, bare({ disableLogger: true }))
  return {
    send: (path, token) => {
      const request = requestOf(path, token)
      return (end) =>
        void handler(request).then(
          ({ status }) => answer(end, status),
          () => end("failed", "not built")
        )
    },
    dispose
  }
}

// A request without a body can be sent again. Its constructor reads options that are not under test.
const requests = new Map<string, Request>()

const requestOf = (path: string, token: string | undefined): Request => {
  const key = `${token} ${path}`
  const headers: HeadersInit = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const request = requests.get(key) ?? new Request(`http://localhost${path}`, { headers })
  requests.set(key, request)
  return request
}

type NodeHandler = (request: IncomingMessage, response: ServerResponse) => void

const socket = new Socket()

/** Sends a request as Node's server does, but without a server. */
const sendOnNode = (handler: NodeHandler, path: string, token: string | undefined, end: End): void => {
  const request = new IncomingMessage(socket)
  request.method = "GET"
  request.url = path
  request.headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const response = new ServerResponse(request)
  response.writeHead = (status: number) => {
    answer(end, status)
    return response
  }
  handler(request, response)
}

const node = (app: App): Server => {
  const scope = Scope.makeUnsafe()
  const handler = Effect.runPromise(
    Effect.flatMap(HttpRouter.toHttpEffect(app), (effect) => NodeHttpServer.makeHandler(effect, bare({ scope }))).pipe(
      Effect.provideService(Scope.Scope, scope)
    )
  )
  return {
    send: (path, token) => (end) =>
      void handler.then(
        (handler) => sendOnNode(handler, path, token, end),
        () => end("failed", "not built")
      ),
    dispose: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const guard = (
  isWhole: boolean,
  verifier: Layer.Layer<TokenVerifier, unknown>,
  server: (app: App) => Server
): World => {
  const { app, asked } = appOf(isWhole)
  const { dispose, send } = server(app.pipe(Layer.provide(verifier), Layer.provideMerge(Quiet)) as App)
  return {
    probes: asked.map(({ path, status, token }) => ({
      name: `${path} with ${token ?? "no token"}`,
      isGood: status === 200,
      why: `${status}`,
      run: send(path, token)
    })),
    dispose: () => void dispose().catch(() => {})
  }
}

/** Apps with guards. Only the first app has the requests that do not depend on the verifier. */
export const guards: Worlds = {
  "an app": () => guard(true, TokenVerifier.layer({ verify, cache: false }), web),
  "an app with a cache": () => guard(false, TokenVerifier.layer({ verify }), web),
  "an app on Node, with a service": () =>
    guard(false, Layer.succeed(TokenVerifier, { verify, invalidate: () => Effect.void }), node),
  "OAuth2.secured": () => ({ probes: securedProbes(), dispose: () => {} })
}

/** Programs with an unprotected endpoint or route, which `OAuth2.secured` must not start. */
const securedProbes = (): ReadonlyArray<Probe> => {
  const open = HttpApi.make("api").add(HttpApiGroup.make("group").add(HttpApiEndpoint.get("open", "/open")))
  const route = HttpRouter.add("GET", "/open", cast(Effect.void)) as AnyLayer
  const secured = OAuth2.secured as (self: unknown) => AnyLayer
  return [
    {
      name: "an api with an unprotected endpoint",
      isGood: false,
      why: "",
      run: (end) => {
        secured(open)
        end("accepted", "")
      }
    },
    {
      name: "an unprotected route",
      isGood: false,
      why: "",
      run: (end) =>
        void Effect.runCallback(
          Effect.scoped(
            Layer.build(secured(route).pipe(Layer.provide([HttpRouter.layer, Quiet])) as Layer.Layer<never>)
          ),
          bare({ onExit: (exit: Exit.Exit<unknown>) => end(Exit.isSuccess(exit) ? "accepted" : "refused", "") })
        )
    }
  ]
}

// -- verifiers -------------------------------------------------------------------------------------------------------

const Client = Layer.succeed(HttpClient.HttpClient, client)

const some = ({ bad, good }: Tokens, ...names: ReadonlyArray<string>): Tokens => ({
  good,
  bad: Object.fromEntries(Object.entries(bad).filter(([name]) => names.includes(name)))
})

const policy = { issuer, audience }

const whyOf = (exit: Exit.Exit<unknown, SecurityError.SecurityError>): string => {
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  return error?._tag === "InvalidToken" && error.claim !== undefined
    ? `${error.reason} ${error.claim}`
    : String(error !== undefined && "reason" in error && error.reason)
}

const verifier =
  (
    make: () => Layer.Layer<TokenVerifier, SecurityError.ConfigurationError>,
    { bad, good }: Tokens,
    isAllowed: (token: VerifiedToken) => boolean = () => true
  ) =>
  (): World => {
    const scope = Scope.makeUnsafe()
    const built = Effect.runPromise(
      Layer.buildWithScope(Layer.fresh(Layer.provideMerge(make(), Quiet)), scope) as Effect.Effect<any>
    )
    const probe = (name: string, token: string, why: string): Probe => ({
      name: `a token ${name}`,
      isGood: why === "",
      why,
      run: (end) =>
        void built.then(
          (context) =>
            void Effect.runCallback(
              Effect.flatMap(TokenVerifier, ({ verify }) => verify(Redacted.make(token))).pipe(
                Effect.filterOrFail(isAllowed, () => new SecurityError.InvalidToken({ reason: "Rejected" })),
                Effect.provideContext(context)
              ),
              bare({
                onExit: (exit: Exit.Exit<unknown, SecurityError.SecurityError>) =>
                  Exit.isSuccess(exit) ? end("accepted", "") : end("refused", whyOf(exit))
              })
            ),
          () => end("failed", "not built")
        )
    })
    return {
      probes: [
        ...(good === undefined ? [] : [probe("that is valid", good, "")]),
        ...Object.entries(bad).map(([name, { token, why }]) => probe(name, token, why))
      ],
      dispose: () => void Effect.runPromise(Scope.close(scope, Exit.void)).catch(() => {})
    }
  }

const secretLayer = () =>
  JwtVerifier.layerSecret({ ...policy, profile: "at+jwt", secret: Redacted.make(secret), algorithm: "HS256" })

/** Verifiers of all kinds. Only the fastest verifier gets all tokens. */
export const verifiers: Worlds = {
  "JwtVerifier.layer": verifier(
    () => Layer.provide(JwtVerifier.layer(policy), Client),
    some(
      jwts,
      "by another key",
      "by another key, without kid",
      "without alg",
      "with crit",
      "without a signature",
      "that has expired"
    )
  ),
  "JwtVerifier.layer, with jose": verifier(
    () => Layer.provide(JwtVerifier.layer(policy), [Client, Signatures.layerJose]),
    some(jwts, "by another key", "by another key, without kid", "that has expired")
  ),
  "JwtVerifier.layerIssuers": verifier(
    () => Layer.provide(JwtVerifier.layerIssuers([policy, { ...policy, issuer: "https://other.test" }]), Client),
    some(jwts, "by another key", "without iss")
  ),
  "JwtVerifier.layerKeySet": verifier(
    () => Layer.provide(JwtVerifier.layerKeySet({ ...policy, cache: false }), KeySet.layerStatic({ keys: [jwk] })),
    some(jwts, "by another key", "for another API")
  ),
  "JwtVerifier.layerSecret": verifier(secretLayer, some(hmacs, "by another key", "without a signature")),
  "JwtVerifier.layerSecret, with jose": verifier(() => Layer.provide(secretLayer(), Signatures.layerJose), hmacs),
  "a program that reads claims that the token does not have": verifier(
    () => Layer.provide(secretLayer(), Signatures.layerJose),
    { good: undefined, bad: { "without these claims": { token: hmacs.good ?? "", why: "Rejected" } } },
    ({ claims: { admin, nested } }) => admin !== undefined || (nested as { admin?: unknown }).admin !== undefined
  ),
  "a key set with a private key": verifier(
    () => Layer.provide(JwtVerifier.layerKeySet(policy), KeySet.layerStatic({ keys: [privateJwk] })),
    { good: undefined, bad: { "of that key": { token: jwts.good ?? "", why: "not built" } } }
  ),
  TokenIntrospection: verifier(
    () =>
      TokenIntrospection.layer({
        ...policy,
        clientId: "api",
        clientSecret: Redacted.make("secret"),
        cache: false
      }).pipe(Layer.provide(Client)),
    opaque
  ),
  ...Object.fromEntries(
    Object.entries(lacking).map(([member, issuer]) => [
      `an issuer without ${member}`,
      verifier(() => Layer.provide(JwtVerifier.layer({ ...policy, issuer }), Client), {
        good: undefined,
        bad: { "by the attacker's key": { token: ofLacking.get(issuer) ?? "", why: "BadResponse" } }
      })
    ])
  )
}

const privateJwk: jose.JWK = { ...jwk, d: "AAAA" }
