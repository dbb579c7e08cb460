/** The web page of `npm start` in a real browser, with the embedded authorization server. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as itemsApi from "../support/itemsApi.ts"
import * as Chromium from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"
import { WebPage } from "./WebPage.ts"

const { ItemsProgram } = itemsApi

const open = (api: string, at = api) =>
  Effect.acquireRelease(
    Effect.flatMap(Chromium.Chromium, (browser) => Effect.promise(() => WebPage.open(browser, api, at))),
    ({ context }) => Effect.promise(() => context.close())
  )

describe.skipIf(Chromium.missing)("the web page of npm start", () => {
  layer(Layer.merge(Chromium.Chromium.layer, ItemsProgram.layer))((it) => {
    it.effect(
      "signs in, shows the user's items after a reload, too, signs out, and shows the next user's items only",
      () =>
        Effect.gen(function* () {
          const { api, issuer } = yield* ItemsProgram
          const web = yield* open(api)
          yield* Effect.promise(async () => {
            assert.strictEqual(await web.heading(), "Items")
            await web.signIn("alice")
            assert.strictEqual(await web.heading(), "Your items")
            assert.isTrue(await web.page.getByText("You are signed in as alice.").isVisible())
            assert.isTrue(await web.page.getByText("You have no items.").isVisible())
            await web.add("Alice's <b>pen</b>")
            await web.add("Alice's paper")
            const items = ["Alice's <b>pen</b>", "Alice's paper"]
            assert.deepStrictEqual(await web.items(), items)
            await web.page.reload()
            assert.deepStrictEqual(await web.items(), items, "a reload sends no form again")
            assert.notInclude(JSON.stringify(await web.context.storageState()), "eyJ", "the browser has no token")

            await web.signOut()
            assert.strictEqual(await web.heading(), "Items")
            assert.isTrue(await web.page.getByRole("link", { name: "Sign in" }).isVisible())
            // All pages of the history, back to the first one.
            for (let i = 0; i < 8 && web.page.url() !== "about:blank"; i++) {
              await web.page.goBack({ waitUntil: "domcontentloaded", timeout: 3000 }).catch(() => {})
              assert.notInclude(await web.page.locator("body").innerText(), "Alice's")
            }
            await web.page.goto(`${api}/your-items`)
            assert.isTrue(web.page.url().startsWith(`${issuer}/interaction/`))

            await web.enter("bob")
            assert.isTrue(await web.page.getByText("You are signed in as bob.").isVisible())
            await web.add("Bob's ruler")
            assert.deepStrictEqual(await web.items(), ["Bob's ruler"])
            assert.deepStrictEqual(web.complaints, [])
          })
        }),
      60_000
    )

    it.effect(
      "shows no items if the visitor goes back after a sign-out in another tab",
      () =>
        Effect.gen(function* () {
          const { api, issuer } = yield* ItemsProgram
          const web = yield* open(api)
          yield* Effect.promise(async () => {
            await web.signIn("carol")
            await web.add("Carol's map")
            await web.page.goto(`${api}/health`)
            const other = await WebPage.openIn(web.context, api)
            assert.deepStrictEqual(await other.items(), ["Carol's map"], "the tabs share the session")
            await other.signOut()
            await web.page.goBack()
            await web.page.waitForURL(`${issuer}/interaction/**`)
            assert.notInclude(await web.page.locator("body").innerText(), "Carol's")
          })
        }),
      60_000
    )

    it.effect(
      "tells a user without the scope what is missing, and lets the user sign in as another one",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsProgram
          const web = yield* open(api)
          yield* Effect.promise(async () => {
            await web.signIn("guest")
            assert.strictEqual(await web.heading(), "Not allowed")
            assert.include(await web.page.getByRole("alert").innerText(), "It lacks: items:read")
            await web.signOut()
            await web.signIn("dave")
            assert.strictEqual(await web.heading(), "Your items")
            assert.deepStrictEqual(web.complaints, [])
          })
        }),
      60_000
    )

    it.effect(
      "has a session that the login of the documentation page does not use, and does not disturb",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsProgram
          const docs = yield* Effect.acquireRelease(
            Effect.flatMap(Chromium.Chromium, (browser) => Effect.promise(() => DocsPage.open(browser, `${api}/docs`))),
            ({ context }) => Effect.promise(() => context.close())
          )
          yield* Effect.promise(async () => {
            const web = await WebPage.openIn(docs.context, api)
            await web.signIn("erin")
            await web.add("Erin's ink")

            // Without its own login, the documentation page is anonymous.
            await docs.createItem.open()
            assert.deepInclude(await docs.createItem.execute({ name: "No" }), {
              status: 401,
              body: { detail: "Not authenticated" }
            })
            const greeting = docs.page.locator('[id$="-greeting"].opblock')
            await greeting.locator(".opblock-summary-control").click()
            await greeting.locator(".try-out__btn").click()
            await greeting.locator(".execute").click()
            await greeting.locator(".live-responses-table", { hasText: '"hello": "anonymous"' }).waitFor()

            // The dialog offers the login only. The authorization server knows the user, so it asks nothing.
            await docs.dialog.open()
            assert.isTrue(await docs.dialog.showsAuthorize())
            assert.notInclude(await docs.page.locator(".modal-ux").innerText(), "OAuth2Session")
            await docs.authorize({ closes: true })
            await docs.dialog.waitForLogin()
            await docs.dialog.close()
            const created = await docs.createItem.execute({ name: "Erin's stamp" })
            assert.strictEqual(created.status, 201)
            assert.propertyVal(created.body, "owner", "erin")

            await web.page.reload()
            assert.deepStrictEqual(await web.items(), ["Erin's ink", "Erin's stamp"])
            await web.signOut()
            assert.strictEqual((await docs.createItem.execute({ name: "Erin's desk" })).status, 201)

            await web.signIn("erin")
            await docs.logOut()
            assert.strictEqual((await docs.createItem.execute({ name: "No" })).status, 401)
            await web.page.reload()
            assert.deepStrictEqual(await web.items(), ["Erin's ink", "Erin's stamp", "Erin's desk"])
            assert.deepStrictEqual([...docs.complaints, ...web.complaints], [])
          })
        }),
      60_000
    )

    it.effect(
      "signs in a visitor who came by localhost, and leads to the documentation in one click",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsProgram
          const web = yield* open(api, api.replace("127.0.0.1", "localhost"))
          yield* Effect.promise(async () => {
            await web.signIn("frank")
            assert.strictEqual(await web.heading(), "Your items")
            await web.page.getByRole("link", { name: "documentation" }).click()
            await web.page.locator(".opblock").first().waitFor()
            assert.strictEqual(web.page.url(), `${api}/docs`)
          })
        }),
      60_000
    )

    it.effect(
      "keeps the session and the items if a page of another site sends its forms",
      () =>
        Effect.gen(function* () {
          const { api } = yield* ItemsProgram
          const web = yield* open(api)
          yield* Effect.promise(async () => {
            await web.signIn("grace")
            await web.add("Grace's clock")
            const evil = api.replace("127.0.0.1", "localhost")
            const form = (
              path: string
            ) => `<form method="post" action="${api}${path}"><input name="name" value="Forged">
<button>${path}</button></form>`
            await web.context.route(`${evil}/evil`, (route) =>
              route.fulfill({ contentType: "text/html", body: form("/your-items") + form("/logout") })
            )
            // The browser does not send the cookie, so the first form has no session. The logout refuses the second form.
            for (const [path, status] of [
              ["/your-items", 303],
              ["/logout", 403]
            ] as const) {
              await web.page.goto(`${evil}/evil`)
              const [response] = await Promise.all([
                web.page.waitForResponse((response) => response.request().method() === "POST"),
                web.page.getByRole("button", { name: path }).click()
              ])
              assert.strictEqual(response.status(), status)
            }
            await web.page.goto(`${api}/your-items`)
            assert.deepStrictEqual(await web.items(), ["Grace's clock"])
          })
        }),
      60_000
    )
  })

  it.live(
    "leads to the sign-in after the session has expired, and back to the items",
    () =>
      Effect.gen(function* () {
        const { api, clock, issuer } = yield* itemsApi.onClock
        const web = yield* open(api)
        yield* Effect.promise(async () => {
          await web.signIn("heidi")
          await web.add("Heidi's lamp")
          clock.offset = itemsApi.aDayLater
          // The session of the authorization server ends after a day, too.
          await web.context.clearCookies({ name: /^_session/ })
          await web.page.reload()
          await web.page.waitForURL(`${issuer}/interaction/**`)
          assert.strictEqual(await web.heading(), "Sign in")
          assert.notInclude(await web.page.locator("body").innerText(), "Heidi's")
          // The clock of the authorization server has not moved, so its next token would be too old.
          clock.offset = 0
          await web.enter("heidi")
          assert.deepStrictEqual(await web.items(), ["Heidi's lamp"])

          clock.offset = itemsApi.aDayLater
          await web.context.clearCookies({ name: /^_session/ })
          await web.page.getByLabel("New item").fill("Too late")
          await web.page.getByRole("button", { name: "Add" }).click()
          await web.page.waitForURL(`${issuer}/interaction/**`)
          clock.offset = 0
          await web.enter("heidi")
          assert.deepStrictEqual(await web.items(), ["Heidi's lamp"])
          assert.deepStrictEqual(web.complaints, [])
        })
      }).pipe(Effect.provide(Chromium.Chromium.layer)),
    60_000
  )
})
