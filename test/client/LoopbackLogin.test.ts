// Signing in with the browser of the machine: which request ends it, and what the browser sees.
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Redacted } from "effect"
import { HttpClient, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { NetAddress } from "effect/net"
import { ClientAuthentication, LoopbackLogin } from "effect-oauth2/client"
import { TestIssuer, type TestIssuerOptions } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { issuer, test as testWith } from "../support/testIssuers.ts"
import { until } from "../support/settle.ts"

const clients = [{ clientId: "cli", redirectUris: ["http://127.0.0.1/callback"] }]
const test = (name: string, body: Parameters<typeof testWith>[1], options: TestIssuerOptions = {}) =>
  testWith(name, body, { clients, ...options })

type App = Effect.Effect<HttpServerResponse.HttpServerResponse, unknown, HttpServerRequest.HttpServerRequest>

/** A machine whose ports are in memory, and a sign-in that waits for the browser. */
const machine = Effect.sync(() => {
  let app: App | undefined
  let isOpen = false
  const shown: Array<string> = []
  const tried: Array<number> = []
  const used = new Set<number>()
  const host = { ip: NetAddress.ipv4Loopback as NetAddress.IpAddress }
  const listen = (port: number) =>
    Effect.gen(function* () {
      tried.push(port)
      if (used.has(port)) return yield* Effect.fail("EADDRINUSE")
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          isOpen = true
        }),
        () =>
          Effect.sync(() => {
            isOpen = false
          })
      )
      return HttpServer.make({
        address: NetAddress.inetAddressUnsafe(host.ip, port === 0 ? 49_152 : port),
        serve: (given: App) =>
          Effect.sync(() => {
            app = given
          })
      } as never)
    })
  const start = (options: Partial<LoopbackLogin.Options<never>> = {}) =>
    Effect.gen(function* () {
      const login = LoopbackLogin.signIn({
        issuer,
        clientId: "cli",
        authentication: ClientAuthentication.none,
        scopes: ["openid", "items:read"],
        listen,
        show: (url) => Effect.sync(() => shown.push(url)),
        ...options
      })
      const fiber = yield* Effect.forkChild(login)
      yield* until(
        Effect.sync(() => shown.length > 0 || fiber.pollUnsafe() !== undefined),
        (ready) => ready
      )
      return fiber
    })
  /** The browser requests an address of the machine. */
  const visit = (url: string, method = "GET") =>
    Effect.gen(function* () {
      const request = HttpServerRequest.fromWeb(new Request(url, { method }))
      const { pathname, search } = new URL(url)
      assert.isDefined(app)
      const response = yield* Effect.provideService(
        app,
        HttpServerRequest.HttpServerRequest,
        request.modify({ url: pathname + search })
      )
      const web = HttpServerResponse.toWeb(response)
      return { status: web.status, headers: web.headers, body: yield* Effect.promise(() => web.text()) }
    })
  /** The browser opens the URL of the sign-in. The issuer redirects at once. */
  const redirect = Effect.suspend(() => HttpClient.get(shown[0] ?? "")).pipe(
    Effect.map(({ headers }) => new URL(headers["location"] ?? ""))
  )
  return { start, visit, redirect, shown, tried, used, host, isOpen: () => isOpen }
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) ? Cause.squash(exit.cause) : assert.fail("signed in")

describe("a sign-in with the browser of the machine", () => {
  test("returns the tokens, and shows a page without the code", () =>
    Effect.gen(function* () {
      const { isOpen, redirect, shown, start, visit } = yield* machine
      const fiber = yield* start()
      const asked = Object.fromEntries(new URL(shown[0] ?? "").searchParams)
      assert.deepInclude(asked, {
        client_id: "cli",
        code_challenge_method: "S256",
        redirect_uri: "http://127.0.0.1:49152/callback",
        response_type: "code",
        scope: "openid items:read"
      })
      for (const name of ["state", "nonce", "code_challenge"]) assert.match(asked[name] ?? "", /^[\w-]{43}$/)
      const target = yield* redirect
      const { body, headers, status } = yield* visit(target.href)
      assert.strictEqual(status, 200)
      assert.notInclude(body, target.searchParams.get("code") ?? "none")
      assert.notInclude(body, target.searchParams.get("state") ?? "none")
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.include(headers.get("content-security-policy") ?? "", "default-src 'none'")
      const grant = yield* Fiber.join(fiber)
      assert.deepInclude(grant, { issuer, clientId: "cli", scopes: ["openid", "items:read"] })
      assert.strictEqual(Jose.decodeJwt(Redacted.value(grant.idToken ?? assert.fail())).sub, "demo")
      assert.isFalse(isOpen())
    }))

  test("names the resource in the authorization request and in the token request", () =>
    Effect.gen(function* () {
      const { redirect, shown, start, visit } = yield* machine
      const resource = "https://api.example.com/mcp"
      const fiber = yield* start({ resource })
      assert.strictEqual(new URL(shown[0] ?? "").searchParams.get("resource"), resource)
      yield* visit((yield* redirect).href)
      yield* Fiber.join(fiber)
      const { requests } = yield* TestIssuer
      const asked = (yield* requests).filter(({ endpoint }) => endpoint === "token")
      assert.strictEqual(asked[0]?.parameters?.["resource"], resource)
    }))

  test("does not start at a server that does not support S256", () =>
    Effect.gen(function* () {
      const endpoints = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` }
      for (const [methods, requirePkce] of [
        [["plain"], false],
        [[], false],
        [undefined, true]
      ] as const) {
        const { shown, start } = yield* machine
        const metadata = { issuer, ...endpoints, code_challenge_methods_supported: methods }
        const exit = yield* Fiber.await(yield* start({ metadata, requirePkce }))
        assert.deepInclude(reasonOf(exit), { _tag: "SignInFailed", reason: "PkceUnsupported" })
        assert.isEmpty(shown)
      }
      const { shown, start } = yield* machine
      yield* start({ metadata: { issuer, ...endpoints } })
      assert.lengthOf(shown, 1)
    }))

  test("refuses metadata of another issuer", () =>
    Effect.gen(function* () {
      const { start } = yield* machine
      const exit = yield* Fiber.await(yield* start({ metadata: { issuer: "https://other.example.com" } }))
      assert.deepInclude(reasonOf(exit), { _tag: "ConfigurationError", setting: "metadata" })
    }))

  test("ignores requests that are not its redirect", () =>
    Effect.gen(function* () {
      const { redirect, start, visit } = yield* machine
      const fiber = yield* start()
      const target = yield* redirect
      const change = (edit: (url: URL) => void) => {
        const url = new URL(target)
        edit(url)
        return url.href
      }
      const others = [
        change((url) => (url.pathname = "/other")),
        change((url) => url.searchParams.set("state", "forged")),
        change((url) => url.searchParams.delete("state")),
        "http://127.0.0.1:49152/callback?error=access_denied"
      ]
      for (const url of others) assert.strictEqual((yield* visit(url)).status, 404)
      assert.strictEqual((yield* visit(target.href, "POST")).status, 404)
      assert.isUndefined(fiber.pollUnsafe())
      yield* visit(target.href)
      // The port serves one redirect.
      assert.strictEqual((yield* visit(target.href)).status, 404)
      yield* Fiber.join(fiber)
    }))

  const mixUps: ReadonlyArray<readonly [string, (url: URL) => void]> = [
    ["names another issuer", (url) => url.searchParams.set("iss", "https://evil.example")],
    ["has two codes", (url) => url.searchParams.append("code", "another")]
  ]
  for (const [name, edit] of mixUps) {
    test(`fails if the redirect ${name}`, () =>
      Effect.gen(function* () {
        const { redirect, start, visit } = yield* machine
        const fiber = yield* start()
        const target = yield* redirect
        edit(target)
        yield* visit(target.href)
        const error = reasonOf(yield* Fiber.await(fiber))
        assert.deepInclude(error, { _tag: "SignInFailed", reason: "BadResponse" })
        const requests = yield* TestIssuer.use(({ requests }) => requests)
        assert.isFalse(requests.some(({ endpoint }) => endpoint === "token"))
      }))
  }

  test(
    "fails if the server requires iss in its metadata, and the redirect has none",
    () =>
      Effect.gen(function* () {
        const { redirect, start, visit } = yield* machine
        const fiber = yield* start()
        const target = yield* redirect
        target.searchParams.delete("iss")
        yield* visit(target.href)
        assert.deepInclude(reasonOf(yield* Fiber.await(fiber)), { _tag: "SignInFailed", reason: "BadResponse" })
      }),
    { metadata: { authorization_response_iss_parameter_supported: true } }
  )

  test("fails if the ID token has another nonce", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const { redirect, start, visit } = yield* machine
      const fiber = yield* start()
      const target = yield* redirect
      const idToken = yield* TestIssuer.use((issuer) =>
        issuer.mint({ profile: "id-token", audience: "cli", claims: { nonce: "of another sign-in" } })
      )
      const body = { access_token: "token", token_type: "Bearer", id_token: idToken }
      yield* respond("token", { body: JSON.stringify(body) })
      yield* visit(target.href)
      assert.deepInclude(reasonOf(yield* Fiber.await(fiber)), { _tag: "TokenUnavailable", reason: "BadResponse" })
    }))

  test("tells that the user refused, or what the server says", () =>
    Effect.gen(function* () {
      yield* TestIssuer.use(({ signOut }) => signOut)
      const { redirect, start, visit } = yield* machine
      const fiber = yield* start()
      const target = yield* redirect
      assert.strictEqual((yield* visit(target.href)).status, 200)
      assert.deepInclude(reasonOf(yield* Fiber.await(fiber)), { _tag: "SignInFailed", reason: "Denied" })
      const second = yield* machine
      const other = yield* second.start({ parameters: { prompt: "none" } })
      yield* second.visit((yield* second.redirect).href)
      assert.deepInclude(reasonOf(yield* Fiber.await(other)), { reason: "Refused", error: "login_required" })
    }))

  test("ends after the time limit", () =>
    Effect.gen(function* () {
      const { isOpen, start } = yield* machine
      const fiber = yield* start()
      yield* TestClock.adjust("179 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.deepInclude(reasonOf(yield* Fiber.await(fiber)), { _tag: "SignInFailed", reason: "Expired" })
      assert.isFalse(isOpen())
    }))

  test("opens the browser, and always shows the URL", () =>
    Effect.gen(function* () {
      const { redirect, shown, start, visit } = yield* machine
      const opened: Array<string> = []
      const fiber = yield* start({
        open: (url) =>
          Effect.andThen(
            Effect.sync(() => opened.push(url)),
            Effect.fail("no browser")
          )
      })
      yield* visit((yield* redirect).href)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(opened, shown)
    }))

  test("tries the ports of its options", () =>
    Effect.gen(function* () {
      const { shown, start, tried, used } = yield* machine
      used.add(8401)
      yield* start({ ports: [8401, 8402] })
      assert.deepStrictEqual(tried, [8401, 8402])
      assert.include(shown[0], encodeURIComponent("http://127.0.0.1:8402/callback"))
      used.add(8402)
      const second = yield* start({ ports: [8401, 8402] })
      assert.deepInclude(reasonOf(yield* Fiber.await(second)), { _tag: "SignInFailed", reason: "NoPort" })
    }))

  test("may name localhost, where the server accepts only that", () =>
    Effect.gen(function* () {
      const { shown, start } = yield* machine
      yield* start({ redirectHost: "localhost", path: "/" })
      assert.include(shown[0], encodeURIComponent("http://localhost:49152/"))
    }))

  test("names the address that it listens on", () =>
    Effect.gen(function* () {
      const { host, shown, start } = yield* machine
      yield* start()
      host.ip = NetAddress.ipv6Loopback
      shown.length = 0
      yield* start()
      assert.include(shown[0], encodeURIComponent("http://[::1]:49152/callback"))
    }))

  test("refuses options that are not valid, and a port that other machines reach", () =>
    Effect.gen(function* () {
      const { host, start } = yield* machine
      const settingOf = (exit: Exit.Exit<unknown, unknown>) => (reasonOf(exit) as { readonly setting: string }).setting
      assert.strictEqual(settingOf(yield* Fiber.await(yield* start({ timeLimit: 0 }))), "timeLimit")
      assert.strictEqual(settingOf(yield* Fiber.await(yield* start({ path: "callback" }))), "path")
      host.ip = NetAddress.ipv4Unspecified
      assert.strictEqual(settingOf(yield* Fiber.await(yield* start())), "listen")
    }))
})
