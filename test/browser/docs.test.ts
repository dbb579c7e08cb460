/** The documentation page in a real browser, with the Items API and its authorization server. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Chromium from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"
import { ItemsApi } from "./ItemsApi.ts"
import { takeScreenshot } from "./takeScreenshot.ts"

if (Chromium.missing) process.stderr.write(`test/browser is skipped because no browser was found. ${Chromium.hint}\n`)

const open = (url: string) =>
  Effect.acquireRelease(
    Effect.flatMap(Chromium.Chromium, (browser) => Effect.promise(() => DocsPage.open(browser, url))),
    ({ context }) => Effect.promise(() => context.close())
  )

// A public route has no lock.
const locks = (state: "locked" | "unlocked") => [
  `GET /items authorization button ${state}`,
  `POST /items authorization button ${state}`,
  `GET /users/me authorization button ${state}`,
  `GET /greeting authorization button ${state}`,
  "GET /health no lock"
]

/** Checks one session: a refused call, login, an accepted call, logout, and another refused call. */
const session = Effect.fnUntraced(function* (api: string) {
  const { issuer } = yield* ItemsApi
  const docs = yield* open(`${api}/docs`)
  yield* Effect.promise(async () => {
    assert.deepStrictEqual(await docs.locks(), locks("unlocked"))
    await docs.createItem.open()
    const refused = { url: `${api}/items`, status: 401, body: { detail: "Not authenticated" } }
    assert.deepStrictEqual(await docs.createItem.execute({ name: "Too early" }), refused)

    await docs.logIn("demo")
    assert.deepStrictEqual(await docs.locks(), locks("locked"))
    const created = await docs.createItem.execute({ name: "From the page" })
    assert.deepStrictEqual([created.url, created.status], [`${api}/items`, 201])
    assert.propertyVal(created.body, "owner", "demo")

    await docs.logOut()
    assert.deepStrictEqual(await docs.locks(), locks("unlocked"))
    assert.deepStrictEqual(await docs.createItem.execute({ name: "Too late" }), refused)

    const query = (url: string) => Object.fromEntries(new URL(url).searchParams)
    const [authorizationRequest] = docs.requests.filter((request) => request.url().startsWith(`${issuer}/auth?`))
    const [tokenRequest] = docs.requests.filter(
      (request) => request.method() === "POST" && request.url() === `${issuer}/token`
    )
    const { code_challenge, state, ...authorization } = query(authorizationRequest?.url() ?? "")
    assert.deepStrictEqual(authorization, {
      response_type: "code",
      client_id: "items-docs",
      redirect_uri: `${api}/docs/oauth2-redirect`,
      scope: "items:read items:write me",
      code_challenge_method: "S256"
    })
    assert.match(state ?? "", /^[0-9a-f]{64}$/)
    const exchange = new URLSearchParams(tokenRequest?.postData() ?? "")
    assert.strictEqual(
      createHash("sha256")
        .update(exchange.get("code_verifier") ?? "")
        .digest("base64url"),
      code_challenge
    )
    assert.strictEqual(exchange.get("client_secret") ?? "", "")

    const origins = new Set(docs.requests.map((request) => new URL(request.url()).origin))
    assert.deepStrictEqual(origins, new Set([new URL(api).origin, issuer]), "no request goes to another origin")
    assert.deepStrictEqual(docs.complaints, [])
  })
})

describe.skipIf(Chromium.missing)("the documentation page", () => {
  layer(Layer.merge(Chromium.Chromium.layer, ItemsApi.layer))((it) => {
    it.effect(
      "logs in with PKCE, calls the API with the user's token, and logs out",
      () => Effect.flatMap(ItemsApi, ({ api }) => session(api)),
      30_000
    )

    it.effect(
      "logs in, calls the API and logs out at localhost, too",
      () => Effect.flatMap(ItemsApi, ({ localhost }) => session(localhost)),
      30_000
    )

    it.effect(
      "logs in, calls the API and logs out below the prefix of a reverse proxy",
      () => Effect.flatMap(ItemsApi, ({ proxied }) => session(proxied)),
      30_000
    )

    it.effect(
      "refuses a response with a forged state, requests no token, and accepts the next response",
      () =>
        Effect.gen(function* () {
          const { api, issuer } = yield* ItemsApi
          const docs = yield* open(`${api}/docs`)
          yield* Effect.promise(async () => {
            await docs.dialog.open()
            const popup = await docs.authorize()
            const closed = popup.waitForEvent("close")
            await popup.goto(`${api}/docs/oauth2-redirect?code=stolen&state=forged`).catch(() => {})
            await closed
            assert.include(await docs.dialog.error(), "state differs from the request's")
            assert.isFalse(await docs.dialog.isLoggedIn())
            assert.isFalse(docs.requests.some((request) => request.url() === `${issuer}/token`))
            await docs.dialog.close()

            await docs.logIn("demo")
            assert.deepStrictEqual(docs.complaints, [])
          })
        }),
      30_000
    )

    it.effect(
      "shows the authorization server's error",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsApi
          const docs = yield* open(`${api}/docs`)
          yield* Effect.promise(async () => {
            await docs.dialog.open()
            const popup = await docs.authorize()
            const state = await docs.page.evaluate("swaggerUIRedirectOauth2.state")
            const closed = popup.waitForEvent("close")
            const answer = `error=access_denied&error_description=<b>No</b>&state=${String(state)}`
            await popup.goto(`${api}/docs/oauth2-redirect?${answer}`).catch(() => {})
            await closed
            assert.include(await docs.dialog.error(), "[access_denied]: <b>No</b>.")
            assert.isFalse(await docs.dialog.isLoggedIn())
          })
        }),
      30_000
    )

    it.effect("shows which scopes each operation requires, after its description", () =>
      Effect.gen(function* () {
        const { api } = yield* ItemsApi
        const docs = yield* open(`${api}/docs`)
        yield* Effect.promise(async () => {
          assert.deepStrictEqual(await docs.descriptions(), [
            ["Returns the items of all users.", "Requires items:read."],
            ["You own the new item.", "Requires items:read and items:write."],
            ["Returns the subject and the scopes of your access token.", "Requires me."],
            ["Greets you by name if you are logged in.", "Authentication is optional."],
            ["Succeeds if the service runs."]
          ])
          assert.deepStrictEqual(docs.complaints, [])
        })
      })
    )

    it.effect(
      "shows its button Authorize at 1280×800, and an optional lock that stands out no more than the others",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsApi
          const docs = yield* open(`${api}/docs`)
          yield* Effect.promise(async () => {
            assert.deepStrictEqual(docs.page.viewportSize(), { width: 1280, height: 800 })
            assert.isTrue(await docs.showsAuthorize())
            // GET /greeting is optional.
            const [items, create, me, greeting, ...others] = await docs.lockOpacities()
            assert.deepStrictEqual([create, me, greeting, others], [items, items, items, []])
            await docs.page.setViewportSize({ width: 1280, height: 200 })
            assert.isFalse(await docs.showsAuthorize(), "the check of the view finds a hidden button")
          })
        })
    )

    it.effect("opens a dialog with the scopes selected, without a secret, and with its button in view", () =>
      Effect.gen(function* () {
        const { api } = yield* ItemsApi
        const docs = yield* open(`${api}/docs`)
        yield* Effect.promise(async () => {
          await docs.dialog.open()
          assert.deepStrictEqual(await docs.dialog.selectedScopes(), ["items:read", "items:write", "me"])
          const fields = await docs.dialog.fields()
          assert.include(fields, "client_id:")
          assert.notInclude(fields.join(), "secret")
          for (const height of [800, 400]) {
            await docs.page.setViewportSize({ width: 1280, height })
            assert.isTrue(await docs.dialog.showsAuthorize(), `at a height of ${height}`)
          }
          assert.deepStrictEqual(docs.complaints, [])
        })
      })
    )

    it.effect("has a field for the secret if the client has one", () =>
      Effect.gen(function* () {
        const { api } = yield* ItemsApi
        const docs = yield* open(`${api}/docs`)
        yield* Effect.promise(async () => {
          await docs.context.route(/\/docs$/, async (route) => {
            const response = await route.fetch()
            const client = '"clientId":"items-docs"'
            const body = (await response.text()).replace(client, `${client},"clientSecret":"everyone reads it"`)
            await route.fulfill({ response, body })
          })
          await docs.page.reload()
          await docs.dialog.open()
          assert.include(await docs.dialog.fields(), "client_secret:")
          assert.isTrue(await docs.dialog.showsAuthorize())
        })
      })
    )

    it.effect(
      "shows why the authorization server refuses the request of the login",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsApi
          const docs = yield* open(`${api}/docs`)
          yield* Effect.promise(async () => {
            await docs.context.route(
              /\/auth\?/,
              (route) => {
                const url = new URL(route.request().url())
                url.searchParams.delete("code_challenge")
                return route.fulfill({ status: 302, headers: { location: url.href } })
              },
              { times: 1 }
            )
            await docs.dialog.open()
            await docs.authorize({ closes: true })
            const error = await docs.dialog.error()
            assert.include(error, "invalid_request")
            assert.include(error, "code_challenge must be provided with code_challenge_method")
            assert.notInclude(error, "hidden")
            await docs.page.setViewportSize({ width: 1280, height: 400 })
            assert.notInclude(await docs.dialog.error(), "hidden")
            assert.isFalse(await docs.dialog.isLoggedIn())
          })
        }),
      30_000
    )

    it.effect(
      "shows why the authorization server refuses the code",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsApi
          const docs = yield* open(`${api}/docs`)
          yield* Effect.promise(async () => {
            await docs.dialog.open()
            const popup = await docs.authorize()
            const state = await docs.page.evaluate("swaggerUIRedirectOauth2.state")
            await popup.goto(`${api}/docs/oauth2-redirect?code=unknown&state=${String(state)}`).catch(() => {})
            const error = await docs.dialog.error()
            assert.include(error, "invalid_grant")
            assert.include(error, "grant request is invalid")
            assert.notInclude(error, "hidden")
            assert.isFalse(await docs.dialog.isLoggedIn())
          })
        }),
      30_000
    )

    it.effect(
      "looks as the README's picture after a request: the response is there, and no token and no secret field",
      () =>
        Effect.gen(function* () {
          const folder = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync(join(tmpdir(), "screenshot-"))),
            (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
          )
          const file = join(folder, "swagger-ui.png")
          const shown = yield* takeScreenshot(file)
          const picture = readFileSync(file)
          assert.strictEqual(picture.subarray(1, 4).toString(), "PNG")
          assert.isAbove(picture.length, 10_000)
          assert.include(shown, "201")
          assert.notMatch(shown, /eyJ|secret/i)
        }),
      30_000
    )

    it.effect("says what to do if no page waits for the response", () =>
      Effect.gen(function* () {
        const { api } = yield* ItemsApi
        const docs = yield* open(`${api}/docs`)
        yield* Effect.promise(async () => {
          await docs.page.goto(`${api}/docs/oauth2-redirect?code=c&state=s`)
          assert.include(await docs.page.locator("#message").innerText(), "press Authorize again")
        })
      })
    )
  })
})
