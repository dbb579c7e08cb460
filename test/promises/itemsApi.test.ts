/** The example program, run in its own process. */
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { execFile } from "node:child_process"
import { once } from "node:events"
import { createServer as createHttpServer } from "node:http"
import { createServer } from "node:net"
import { authorizationCode, clientCredentials, Refused } from "../support/AuthorizationCodeFlow.ts"
import { freePort, type Program, start } from "../support/program.ts"

const file = "scratchpad/items-api/main.ts"

/** The program as `npm start` runs it, on free ports. */
class ItemsApi extends Context.Service<
  ItemsApi,
  { readonly api: string; readonly issuer: string; readonly program: Program }
>()("test/ItemsApi") {
  static readonly layer = Layer.effect(
    ItemsApi,
    Effect.gen(function* () {
      const port = yield* freePort
      const issuerPort = yield* freePort
      const program = yield* start(file, { PORT: String(port), AUTHORIZATION_SERVER_PORT: String(issuerPort) })
      yield* program.waitFor("Ctrl-C ends the program.")
      return { api: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${issuerPort}`, program }
    })
  )
}

const call = (
  url: string,
  token?: string,
  init?: Omit<RequestInit, "headers"> & { readonly headers?: Record<string, string> }
) =>
  Effect.promise(async () => {
    const response = await fetch(url, {
      ...init,
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...init?.headers }
    })
    return [response.status, response.headers.get("www-authenticate"), await response.json()]
  })

const post = (name: unknown) => ({
  method: "POST",
  body: JSON.stringify({ name }),
  headers: { "content-type": "application/json" }
})

/** A bearer token, or the session of the web page. */
const either = (...scopes: ReadonlyArray<string>) => [{ OAuth2: scopes }, { OAuth2Session: scopes }]

const itemsCli = { clientId: "items-cli", clientSecret: "items-cli-secret" }

layer(ItemsApi.layer)("the Items API", (it) => {
  it.effect("serves its public endpoints without a token", () =>
    Effect.gen(function* () {
      const { api } = yield* ItemsApi
      assert.deepStrictEqual(yield* call(`${api}/health`), [200, null, { status: "ok" }])
      assert.deepStrictEqual(yield* call(`${api}/greeting`), [200, null, { hello: "anonymous" }])
    })
  )

  it.effect("refuses requests without a token at all other endpoints, with a challenge", () =>
    Effect.gen(function* () {
      const { api } = yield* ItemsApi
      const refused = [401, "Bearer", { detail: "Not authenticated" }]
      assert.deepStrictEqual(yield* call(`${api}/items`), refused)
      assert.deepStrictEqual(yield* call(`${api}/items`, undefined, post("x")), refused)
      assert.deepStrictEqual(yield* call(`${api}/users/me`), refused)
    })
  )

  it.effect("documents all its endpoints, and prints the URL of the documentation page", () =>
    Effect.gen(function* () {
      const { api, program } = yield* ItemsApi
      assert.match(program.output.stdout, new RegExp(`^Open ${api}/docs, press Authorize.* sign in as demo`, "m"))
      const page = yield* Effect.promise(() => fetch(`${api}/docs`).then((response) => response.text()))
      assert.include(page, '"clientId":"items-docs"')
      const [status, , document] = yield* call(`${api}/openapi.json`)
      assert.strictEqual(status, 200)
      const security = Object.entries<object>(document.paths).flatMap(([path, item]) =>
        Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation.security])
      )
      assert.deepStrictEqual(Object.fromEntries(security), {
        "get /items": either("items:read"),
        "post /items": either("items:read", "items:write"),
        "get /users/me": either("me"),
        "get /greeting": [...either(), {}],
        "get /health": []
      })
    })
  )

  it.effect("serves a client that uses client credentials", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const { access_token } = yield* clientCredentials({ issuer, ...itemsCli, scope: "items:read items:write me" })
      const [status, , created] = yield* call(`${api}/items`, access_token, post("A first item"))
      assert.deepStrictEqual([status, created], [201, { id: 1, name: "A first item", owner: "items-cli" }])
      assert.deepStrictEqual(yield* call(`${api}/items`, access_token), [200, null, [created]])
      assert.deepStrictEqual(yield* call(`${api}/users/me`, access_token), [
        200,
        null,
        { subject: "items-cli", scopes: ["items:read", "items:write", "me"] }
      ])
    })
  )

  it.effect("serves a user who logs in with authorization code and PKCE, also after a refresh", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const tokens = yield* authorizationCode({
        issuer,
        clientId: "items-docs",
        redirectUri: `${api}/docs/oauth2-redirect`,
        scope: "me items:read",
        login: "demo"
      })
      assert.deepStrictEqual(yield* call(`${api}/greeting`, tokens.access_token), [200, null, { hello: "demo" }])
      const header = jose.decodeProtectedHeader(tokens.access_token)
      const claims = jose.decodeJwt(tokens.access_token)
      assert.strictEqual(header.typ, "at+jwt")
      assert.deepStrictEqual([claims.iss, claims.aud, claims.sub], [issuer, api, "demo"])
      const refreshed = yield* Effect.promise(async () => {
        const response = await fetch(`${issuer}/token`, {
          method: "POST",
          body: new URLSearchParams({
            grant_type: "refresh_token",
            refresh_token: tokens.refresh_token ?? "",
            client_id: "items-docs"
          })
        })
        return (await response.json()) as { access_token: string }
      })
      assert.notStrictEqual(refreshed.access_token, tokens.access_token)
      const me = [200, null, { subject: "demo", scopes: ["me", "items:read"] }]
      assert.deepStrictEqual(yield* call(`${api}/users/me`, refreshed.access_token), me)
    })
  )

  it.effect("refuses a token that lacks a scope, and names all required scopes", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const reader = yield* clientCredentials({ issuer, ...itemsCli, scope: "items:read" })
      const writer = yield* clientCredentials({ issuer, ...itemsCli, scope: "items:write" })
      const refused = (scope: string) => [401, `Bearer scope="${scope}"`, { detail: "Not enough permissions" }]
      assert.deepStrictEqual(
        yield* call(`${api}/items`, reader.access_token, post("x")),
        refused("items:read items:write")
      )
      assert.deepStrictEqual(
        yield* call(`${api}/items`, writer.access_token, post("x")),
        refused("items:read items:write")
      )
      assert.deepStrictEqual(yield* call(`${api}/items`, writer.access_token), refused("items:read"))
      assert.deepStrictEqual(yield* call(`${api}/users/me`, reader.access_token), refused("me"))
    })
  )

  it.effect("refuses an invalid token, even if authentication is optional", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const { access_token } = yield* clientCredentials({ issuer, ...itemsCli, scope: "me" })
      const changed = access_token.replace(/.{8}$/, (end) => (end === "AAAAAAAA" ? "BBBBBBBB" : "AAAAAAAA"))
      for (const token of ["nonsense", changed]) {
        const refused = [401, "Bearer", { detail: "Could not validate credentials" }]
        assert.deepStrictEqual(yield* call(`${api}/greeting`, token), refused)
      }
      assert.strictEqual((yield* call(`${api}/greeting`, access_token))[0], 200)
    })
  )

  it.effect("refuses an invalid body after authentication, with a JSON body that the document declares", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const [, , document] = yield* call(`${api}/openapi.json`)
      const { $ref } = document.paths["/items"].post.responses["400"].content["application/json"].schema
      assert.strictEqual($ref, "#/components/schemas/BadRequest")
      assert.hasAllKeys(document.components.schemas.BadRequest.properties, ["detail", "errors"])
      const { access_token } = yield* clientCredentials({ issuer, ...itemsCli, scope: "items:read items:write" })
      for (const [body, path] of [
        ['{"name":1}', ["payload", "name"]],
        ['{"name":""}', ["payload", "name"]],
        ['{"name":null}', ["payload", "name"]],
        ["{}", ["payload", "name"]],
        ["[]", ["payload"]],
        ["{", ["payload"]],
        ["", ["payload"]]
      ] as const) {
        const [status, challenge, found] = yield* call(`${api}/items`, access_token, { ...post("x"), body })
        assert.deepStrictEqual([status, challenge, found.detail], [400, null, "The request is invalid"], body)
        assert.deepStrictEqual(
          found.errors.map((error: { readonly path: unknown }) => error.path),
          [path],
          body
        )
      }
    })
  )

  it.effect("ends every JSON body with a newline", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const { access_token } = yield* clientCredentials({ issuer, ...itemsCli, scope: "items:read items:write me" })
      const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" }
      for (const [path, init] of [
        ["/health", {}],
        ["/openapi.json", {}],
        ["/items", {}],
        ["/items", { headers }],
        ["/users/me", { headers }],
        ["/items", { method: "POST", headers, body: "{" }],
        ["/items", { method: "POST", headers, body: '{"name":"With a line"}' }]
      ] as const) {
        const body = yield* Effect.promise(() => fetch(`${api}${path}`, init).then((response) => response.text()))
        assert.match(body, /[}\]]\n$/, path)
      }
    })
  )

  it.effect("names its schemas, and describes each operation and each tag", () =>
    Effect.gen(function* () {
      const { api } = yield* ItemsApi
      const [, , document] = yield* call(`${api}/openapi.json`)
      assert.sameMembers(Object.keys(document.components.schemas), [
        "BadRequest",
        "Greeting",
        "Item",
        "Profile",
        "Status"
      ])
      assert.deepStrictEqual(
        document.tags.map((tag: { readonly name: string; readonly description: string }) => [
          tag.name,
          tag.description.length > 0
        ]),
        [
          ["items", true],
          ["profile", true],
          ["health", true]
        ]
      )
      assert.isAbove(document.info.description.length, 0)
      const operations = Object.values<object>(document.paths).flatMap((item) => Object.values(item))
      assert.lengthOf(operations, 5)
      for (const { description, summary, tags } of operations) {
        assert.isAbove(summary.length, 0)
        assert.isAbove(description.length, summary.length)
        assert.lengthOf(tags, 1)
      }
    })
  )

  it.effect("starts an authorization server that refuses a flow without PKCE and a client without its secret", () =>
    Effect.gen(function* () {
      const { api, issuer } = yield* ItemsApi
      const bad = yield* Effect.flip(clientCredentials({ issuer, ...itemsCli, clientSecret: "wrong" }))
      assert.instanceOf(bad, Refused)
      const query = new URLSearchParams({
        response_type: "code",
        client_id: "items-docs",
        redirect_uri: `${api}/docs/oauth2-redirect`,
        scope: "me",
        state: "s"
      })
      const location = yield* Effect.promise(() =>
        fetch(`${issuer}/auth?${query}`, { redirect: "manual" }).then((response) => response.headers.get("location"))
      )
      assert.include(location, "error=invalid_request")
    })
  )

  it.effect("prints commands that run in a shell", () =>
    Effect.gen(function* () {
      const { program } = yield* ItemsApi
      const [, commands = ""] = program.output.stdout.split("another terminal:\n")
      const script = commands.split("Ctrl-C")[0]?.replaceAll("curl ", "curl -sS ") ?? ""
      const printed = yield* Effect.callback<string>((resume) => {
        execFile("sh", ["-eu", "-c", script], (error, stdout, stderr) =>
          resume(error === null ? Effect.succeed(stdout) : Effect.die(new Error(`${error.message}${stderr}`)))
        )
      })
      const statuses = Array.from(printed.matchAll(/HTTP\/1\.1 (\d+)/g), (match) => match[1])
      assert.deepStrictEqual(statuses, ["401", "401", "400", "401", "401"])
      assert.include(printed, `www-authenticate: Bearer scope="items:read items:write"`)
      assert.include(printed, `"name":"A first item","owner":"items-cli"`)
      assert.include(printed, `{"hello":"anonymous"}`)
      assert.include(printed, `{"hello":"items-cli"}`)
    })
  )
})

describe("the program", () => {
  layer(Layer.empty)((it) => {
    // Windows has no signals: it ends a program at once.
    it.effect.skipIf(process.platform === "win32")(
      "ends cleanly on Ctrl-C, even if a client keeps its connection open",
      () =>
        Effect.gen(function* () {
          const port = yield* freePort
          const program = yield* start(file, {
            PORT: String(port),
            AUTHORIZATION_SERVER_PORT: String(yield* freePort)
          })
          yield* program.waitFor("Ctrl-C ends the program.")
          yield* call(`http://127.0.0.1:${port}/health`)
          yield* call(`http://127.0.0.1:${port}/items`)
          program.process.kill("SIGINT")
          assert.strictEqual(yield* program.ended, 130)
          assert.strictEqual(program.output.stderr, "")
          assert.notInclude(program.output.stdout, "\u001b", "output to a pipe has no colors")
          assert.match(program.output.stdout, /Ctrl-C ends the program\.\s*$/, "the walk-through stays on the screen")
        }),
      30_000
    )

    it.effect(
      "logs requests if LOG_LEVEL asks for them, as the walk-through says",
      () =>
        Effect.gen(function* () {
          const port = yield* freePort
          const program = yield* start(file, {
            PORT: String(port),
            AUTHORIZATION_SERVER_PORT: String(yield* freePort),
            LOG_LEVEL: "info"
          })
          yield* program.waitFor("LOG_LEVEL=Info adds requests")
          yield* program.waitFor("Ctrl-C ends the program.")
          yield* call(`http://127.0.0.1:${port}/health`)
          yield* program.waitFor("'http.url': '/health'")
        }),
      30_000
    )

    const fails = (name: string, env: () => Effect.Effect<Record<string, string>>, line: RegExp) =>
      it.effect(
        `reports in one line that ${name}, and exits with 1`,
        () =>
          Effect.gen(function* () {
            const program = yield* start(file, yield* env())
            assert.strictEqual(yield* program.ended, 1)
            assert.match(program.output.stderr, line)
            assert.lengthOf(program.output.stderr.trimEnd().split("\n"), 1)
            assert.strictEqual(program.output.stdout, "")
          }),
        30_000
      )

    const ports = Effect.map(Effect.all([freePort, freePort]), ([port, other]) => ({
      PORT: String(port),
      AUTHORIZATION_SERVER_PORT: String(other)
    }))

    fails(
      "its public URL is not a URL",
      () => Effect.succeed({ PUBLIC_URL: "here" }),
      /^items-api: PUBLIC_URL must be a URL/
    )
    fails("a port is not a number", () => Effect.succeed({ PORT: "eighty" }), /^items-api: PORT must be a port/)
    fails(
      "the log level does not exist",
      () => Effect.succeed({ LOG_LEVEL: "loud" }),
      /^items-api: LOG_LEVEL must be one of All, Fatal, Error/
    )
    fails(
      "AUDIENCE is missing next to ISSUER",
      () => Effect.succeed({ ISSUER: "https://idp.example.com" }),
      /ISSUER and AUDIENCE/
    )
    fails(
      "the issuer is unreachable",
      () => Effect.map(freePort, (port) => ({ ISSUER: `http://127.0.0.1:${port}`, AUDIENCE: "x" })),
      /cannot be reached/
    )
    fails(
      "the issuer is not a URL",
      () => Effect.succeed({ ISSUER: "nonsense", AUDIENCE: "x" }),
      /ISSUER must be a URL/
    )
    const external = { ISSUER: "https://idp.example.com", AUDIENCE: "x" }
    fails(
      "a provider is set without an issuer",
      () => Effect.succeed({ PROVIDER: "keycloak" }),
      /PROVIDER must be set together with ISSUER and AUDIENCE/
    )
    fails(
      "the provider does not exist",
      () => Effect.succeed({ ...external, PROVIDER: "toString" }),
      /PROVIDER must be one of auth0/
    )
    fails(
      "the issuer is not one of the provider",
      () => Effect.succeed({ ...external, PROVIDER: "keycloak" }),
      /ISSUER must be the exact issuer of keycloak/
    )
    fails("the profile does not exist", () => Effect.succeed({ ...external, PROFILE: "x" }), /PROFILE must be one of/)
    fails(
      "both servers have the same port",
      () => Effect.succeed({ PORT: "3999", AUTHORIZATION_SERVER_PORT: "3999" }),
      /must be different ports/
    )

    it.effect(
      "reports in one line which port is in use and what sets it, and exits with 1",
      () =>
        Effect.gen(function* () {
          const taken = yield* Effect.acquireRelease(
            Effect.promise(async () => {
              const server = createServer().listen(0, "127.0.0.1")
              await once(server, "listening")
              return server
            }),
            (server) => Effect.sync(() => server.close())
          )
          const address = taken.address()
          const port = String(typeof address === "object" && address !== null ? address.port : 0)
          for (const setting of ["PORT", "AUTHORIZATION_SERVER_PORT"]) {
            const program = yield* start(file, { ...(yield* ports), [setting]: port })
            assert.strictEqual(yield* program.ended, 1)
            assert.match(
              program.output.stderr,
              new RegExp(`^items-api: Port ${port} is in use\\. .* set ${setting} to another port\\.\n$`)
            )
          }
        }),
      // Two programs start one after the other.
      30_000
    )
  })
})

it.live(
  "the Items API accepts tokens of a provider, and logs in with the given client",
  () =>
    Effect.gen(function* () {
      const issuerPort = yield* freePort
      const issuer = `http://127.0.0.1:${issuerPort}/realms/main`
      const Served = HttpRouter.serve(TestIssuer.routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(TestIssuer.layer({ issuer, audience: "items", provider: "keycloak" })),
        Layer.provide(NodeHttpServer.layer(createHttpServer, { port: issuerPort, host: "127.0.0.1" }))
      )
      const { mint } = yield* Effect.provideContext(TestIssuer, yield* Layer.build(Served))
      const port = yield* freePort
      const env = { PORT: String(port), ISSUER: issuer, AUDIENCE: "items", DOCS_CLIENT_ID: "items-docs-client" }
      const token = yield* mint({ scopes: ["items:read", "me"] })
      for (const [setting, status] of [
        [{ PROVIDER: "keycloak" }, 200],
        [{ PROFILE: "jwt" }, 200],
        [{}, 401]
      ] as const) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const program = yield* start(file, { ...env, ...setting })
            yield* program.waitFor("Ctrl-C ends the program.")
            const [found] = yield* call(`http://127.0.0.1:${port}/items`, token)
            assert.strictEqual(found, status, program.output.stdout)
            const page = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/docs`).then((_) => _.text()))
            assert.include(page, '"clientId":"items-docs-client"')
          })
        )
      }
    }),
  60_000
)
