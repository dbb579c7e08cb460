/** A web app with a login, and browsers that visit it. Cookies follow the rules of browsers, on the test clock. */
import { assert, it } from "@effect/vitest"
import { Clock, Effect, identity, Layer, Redacted, type Scope } from "effect"
import { HttpClient, HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { ClientAuthentication } from "effect-oauth2/client"
import { Login, type LoginOptions, LoginProvider, Sessions } from "effect-oauth2/login"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { issuer, layerOf } from "./testIssuers.ts"

export const origin = "https://app.test"
export const clientSecret = "the secret of web"
export const secret = Redacted.make("a secret of the login with 32 bytes or more")

export const provider = LoginProvider.oidc({
  issuer,
  clientId: "web",
  authentication: ClientAuthentication.secret(Redacted.make(clientSecret)),
  scopes: ["openid", "items:read"]
})

export const loginOptions: LoginOptions = { baseUrl: origin, secret, provider }

interface Stored {
  readonly value: string
  readonly attributes: ReadonlyMap<string, string>
  readonly endsAt: number
}

/** Where a request comes from. */
export type From = "typed" | "same-origin" | "same-site" | "cross-site"

export interface VisitOptions {
  readonly method?: "GET" | "POST"
  readonly form?: Readonly<Record<string, string>>
  readonly from?: From
  /** `false` for a request of a script or a frame. */
  readonly navigation?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

type Handler = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

export class Browser {
  readonly #handle: Handler
  readonly jar = new Map<string, Stored>()

  constructor(handle: Handler) {
    this.#handle = handle
  }

  get cookieNames(): ReadonlyArray<string> {
    return Array.from(this.jar.keys())
  }

  /** Sends a request as a browser would, and stores the cookies of the response. */
  visit(address: string, options: VisitOptions = {}) {
    const {
      form,
      from = "typed",
      headers = {},
      method = form === undefined ? "GET" : "POST",
      navigation = true
    } = options
    return Effect.gen({ self: this }, function* () {
      const url = new URL(address, origin)
      assert.strictEqual(url.origin, origin, "The browser visits the app only.")
      const now = yield* Clock.currentTimeMillis
      const isCross = from === "cross-site"
      const sent = Array.from(this.jar).filter(([name, { attributes, endsAt }]) => {
        if (endsAt > now) {
          return !isCross || attributes.get("samesite") === "None" || (navigation && method === "GET")
        }
        this.jar.delete(name)
        return false
      })
      const request = new Request(url, {
        method,
        headers: {
          accept: navigation ? "text/html" : "application/json",
          "sec-fetch-site": from === "typed" ? "none" : from,
          "sec-fetch-mode": navigation ? "navigate" : "cors",
          "sec-fetch-dest": navigation ? "document" : "empty",
          ...(sent.length > 0 && { cookie: sent.map(([name, { value }]) => `${name}=${value}`).join("; ") }),
          ...headers
        },
        ...(form !== undefined && { body: new URLSearchParams(form) })
      })
      const response = yield* Effect.provideService(
        this.#handle,
        HttpServerRequest.HttpServerRequest,
        HttpServerRequest.fromWeb(request)
      )
      const web = HttpServerResponse.toWeb(response)
      for (const line of web.headers.getSetCookie()) this.#store(line, now)
      const text = yield* Effect.promise(() => web.text())
      const location = web.headers.get("location")
      return { status: web.status, headers: web.headers, text, location: location ?? "" }
    })
  }

  #store(line: string, now: number) {
    const [pair = "", ...rest] = line.split("; ")
    const at = pair.indexOf("=")
    const name = pair.slice(0, at)
    const attributes = new Map(
      rest.map((part) => {
        const [key = "", value = ""] = part.split("=")
        return [key.toLowerCase(), value] as const
      })
    )
    assert.isTrue(attributes.has("httponly"), line)
    if (name.startsWith("__Host-")) {
      assert.isTrue(attributes.has("secure"), line)
      assert.strictEqual(attributes.get("path"), "/", line)
      assert.isFalse(attributes.has("domain"), line)
    }
    const expires = attributes.get("expires")
    const maxAge = attributes.get("max-age")
    const endsAt =
      maxAge !== undefined ? now + Number(maxAge) * 1000 : expires === undefined ? Infinity : Date.parse(expires)
    if (endsAt <= now) this.jar.delete(name)
    else this.jar.set(name, { value: pair.slice(at + 1), attributes, endsAt })
  }

  /** Starts a sign-in, and returns the address of the provider. */
  start(path = "/login") {
    return Effect.map(this.visit(path), ({ location, status, text }) => {
      assert.strictEqual(status, 303, text)
      return location
    })
  }

  /** Lets the test issuer answer, and returns the address of its response. */
  answer(address: string) {
    return Effect.gen(function* () {
      const client = yield* HttpClient.HttpClient
      const response = yield* client.execute(HttpClientRequest.get(address))
      return response.headers["location"] ?? (yield* response.text)
    })
  }

  /** Signs in from the first to the last request. */
  signIn(path = "/login") {
    return Effect.gen({ self: this }, function* () {
      const callback = yield* this.answer(yield* this.start(path))
      const response = yield* this.visit(callback, { from: "cross-site" })
      assert.strictEqual(response.status, 303, response.text)
      return response
    })
  }

  signOut(options: VisitOptions = {}) {
    return this.visit("/logout", { form: {}, from: "same-origin", ...options })
  }

  /** Returns what the app knows about the browser. */
  get session() {
    return Effect.map(this.visit("/session", { from: "same-origin", navigation: false }), ({ status, text }) =>
      status === 200 ? (JSON.parse(text) as Readonly<Record<string, unknown>>) : { status }
    )
  }

  get token() {
    return Effect.map(this.visit("/token", { from: "same-origin", navigation: false }), ({ text }) => text)
  }
}

const tokenRoute = HttpRouter.use((router) =>
  Effect.flatMap(Login, ({ accessToken }) =>
    router.add(
      "GET",
      "/token",
      Effect.map(accessToken, Redacted.value).pipe(
        Effect.catch(({ _tag }) => Effect.succeed(_tag)),
        Effect.map((text) => HttpServerResponse.text(text))
      )
    )
  )
)

/** Returns a function that opens browsers. */
export const makeApp = (options: Partial<LoginOptions> = {}, wrap: (handle: Handler) => Handler = identity) =>
  Effect.gen(function* () {
    const sessions = yield* Sessions
    const handle = yield* HttpRouter.toHttpEffect(
      tokenRoute.pipe(
        Layer.provideMerge(Login.layer("session", { ...loginOptions, ...options })),
        Layer.provide(Layer.succeed(Sessions, sessions))
      )
    )
    // Safe cast: the routes need nothing but the request.
    const found = Effect.catch(Effect.scoped(handle) as Handler, () =>
      Effect.succeed(HttpServerResponse.empty({ status: 404 }))
    )
    return () => new Browser(wrap(found))
  })

export const clients = [
  {
    clientId: "web",
    clientSecret,
    redirectUris: [`${origin}/callback`],
    postLogoutRedirectUris: [`${origin}/logout/callback`]
  }
]

type Env = TestIssuer | HttpClient.HttpClient | Sessions | Scope.Scope

/** Defines a test of a browser, with a test issuer and sessions in memory. */
export const test = (
  name: string,
  body: (browser: Browser, open: () => Browser) => Effect.Effect<void, unknown, Env>,
  options: Partial<LoginOptions> = {},
  issuerOptions: TestIssuerOptions = {}
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const open = yield* makeApp(options)
      yield* body(open(), open)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf({ clients, ...issuerOptions }), Sessions.layerMemory())))
  )

/** Parameters of the token requests so far. */
export const requestsAt = (endpoint: string) =>
  Effect.map(
    TestIssuer.use(({ requests }) => requests),
    (requests) => requests.filter((request) => request.endpoint === endpoint)
  )
