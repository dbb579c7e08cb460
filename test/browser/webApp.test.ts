/** People who sign in to the example `web-app`, in a real browser. Two processes of the app share the sessions. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { afterExpiry, Browsers, fresh, missing, open, WebApp } from "./WebApp.ts"

describe.skipIf(missing)("the web app in two processes", () => {
  layer(Layer.merge(Browsers, WebApp.layer), { timeout: "3 minutes" })((it) => {
    for (const [first, second] of [
      ["1", "2"],
      ["2", "1"]
    ] as const) {
      it.effect(
        `ends a sign-in in process ${second} that began in process ${first}, and shows the notes of both`,
        () =>
          Effect.gen(function* () {
            const app = yield* fresh
            const alice = yield* open
            yield* Effect.promise(async () => {
              app.received.length = 0
              app.route((path) => (path.startsWith("/callback") ? second : first))
              await alice.signIn("alice")
              assert.strictEqual(alice.page.url(), `${app.origin}/notes`)
              assert.strictEqual(await alice.user(), "alice")
              const served = (path: string) => app.received.find((request) => request.path.startsWith(path))?.process
              assert.deepStrictEqual([served("/login"), served("/callback")], [first, second])

              await alice.addNote(`from process ${first}`)
              app.route(() => second)
              await alice.addNote(`<b>from process ${second}</b>`)
              await alice.page.reload()
              assert.include(await alice.text(), `from process ${first}\n<b>from process ${second}</b>`)
              assert.deepStrictEqual(Object.keys(await alice.cookies()), ["__Host-session"])
              await alice.signOut()
              assert.deepStrictEqual(await alice.cookies(), {})
              assert.strictEqual(await app.sessions(), 0)
              assert.deepStrictEqual(alice.complaints, [])
            })
          }),
        120_000
      )
    }

    it.effect(
      "ends the sign-ins of two tabs that began at the same time, each at its own page, in one session",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const alice = yield* open
          yield* Effect.promise(async () => {
            const other = await alice.context.newPage()
            // Each page redirects to the sign-in.
            await Promise.all([alice.goto("/notes?tab=1"), alice.goto("/notes?tab=2", other)])
            assert.lengthOf(Object.keys(await alice.cookies()), 2)
            await alice.submitName("alice")
            assert.strictEqual(alice.page.url(), `${app.origin}/notes?tab=1`)
            await alice.submitName("alice", other)
            assert.strictEqual(other.url(), `${app.origin}/notes?tab=2`)

            assert.deepStrictEqual(Object.keys(await alice.cookies()), ["__Host-session"])
            assert.strictEqual(await app.sessions(), 1)
            for (const page of [alice.page, other]) {
              await page.reload()
              assert.strictEqual(await alice.user(page), "alice")
            }
            await alice.addNote("a note of the first tab")
            await alice.signOut(other)
            assert.strictEqual(await app.sessions(), 0)
          })
        }),
      120_000
    )

    it.effect(
      "shows nothing private with the back button after a sign-out",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const alice = yield* open
          yield* Effect.promise(async () => {
            await alice.signIn("alice")
            await alice.addNote("a private note")
            await alice.signOut()
            const { page } = alice
            const seen: Array<string> = []
            for (let i = 0; i < 6; i++) {
              // If the browser restores a page from its memory, Playwright waits for the page in vain.
              await page.goBack({ timeout: 10_000 }).catch(() => null)
              seen.push(page.url())
              const html = await page.content()
              assert.notInclude(html, "a private note", page.url())
              assert.notInclude(html, "signed in as", page.url())
            }
            // The page of the notes redirects to the authorization server, which asks for a name.
            assert.isTrue(
              seen.some((url) => url.startsWith(`${app.issuer}/interaction/`)),
              seen.join("\n")
            )
            assert.isUndefined(await alice.signedInAs())
            assert.strictEqual(await alice.api(), 401)
          })
        }),
      120_000
    )

    it.effect(
      "gives a clear page if a user goes back to the form of the authorization server, and submits it again",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const alice = yield* open
          yield* Effect.promise(async () => {
            // A second tab keeps the form as it was, like a page that the browser restores.
            const kept = await alice.context.newPage()
            let callback = ""
            alice.page.on("request", (request) => {
              if (request.url().startsWith(`${app.origin}/callback`)) callback = request.url()
            })
            await alice.goto("/notes")
            const authorization = alice.page.url()
            await kept.goto(authorization)
            await alice.submitName("alice")
            const before = await alice.cookies()

            await alice.page.goBack()
            await alice.page.waitForLoadState()
            assert.include(await alice.text(), "This sign-in has expired. Start again.")
            await kept.getByLabel("Your name").fill("mallory")
            await kept.getByRole("button", { name: "Sign in" }).click()
            await kept.waitForLoadState()
            assert.include(await alice.text(kept), "This sign-in has expired. Start again.")

            // The response of the sign-in again, such as with a reload or from the history.
            await alice.page.goto(callback)
            assert.strictEqual(alice.page.url(), `${app.origin}/`)
            assert.strictEqual(await alice.user(), "alice")
            assert.deepStrictEqual(await alice.cookies(), before)
            assert.strictEqual(await app.sessions(), 1)

            // Without a session, the response of the sign-in leads to a page that begins again.
            await alice.goto("/notes")
            await alice.signOut()
            const response = await alice.page.goto(callback)
            assert.strictEqual(response?.status(), 400)
            assert.include(await alice.text(), "This sign-in has expired, or it was already used.")
            assert.strictEqual(await app.sessions(), 0)
          })
        }),
      120_000
    )

    for (const [name, forget] of [
      ["that the browser still sends", false],
      ["that the browser has deleted", true]
    ] as const) {
      it.effect(
        `shows a page with a way to begin again if an attempt has expired ${name}`,
        () =>
          Effect.gen(function* () {
            const app = yield* fresh
            const alice = yield* open
            yield* Effect.promise(async () => {
              // The attempt begins 11 minutes ago. The authorization server issues its code now.
              await app.moveClock(forget ? 0 : -afterExpiry)
              await alice.goto("/notes")
              await app.moveClock(0)
              if (forget) await alice.context.clearCookies({ name: /^__Host-session\.login\./ })
              const response = alice.page.waitForResponse((response) => response.url().includes("/callback?"))
              await alice.submitName("alice")
              assert.strictEqual((await response).status(), 400)
              assert.include(await alice.text(), "This sign-in has expired, or it was already used.")
              assert.deepStrictEqual(await alice.cookies(), {})
              assert.strictEqual(await app.sessions(), 0)

              await alice.page.getByRole("link", { name: "Sign in again" }).click()
              await alice.page.waitForURL(`${app.origin}/`)
              assert.strictEqual(await alice.user(), "alice")
              await alice.goto("/notes")
              await alice.signOut()
            })
          }),
        120_000
      )
    }

    it.effect(
      "signs a user out of all browsers, in both processes, and no other user",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const [desk, phone, bob] = yield* Effect.all([open, open, open])
          yield* Effect.promise(async () => {
            await desk.signIn("alice")
            await phone.signIn("alice")
            await bob.signIn("bob")
            assert.strictEqual(await app.sessions(), 3)
            app.route(() => "1")
            await desk.signOutEverywhere()
            for (const process of ["1", "2"] as const) {
              app.route(() => process)
              for (const browser of [desk, phone]) {
                assert.isUndefined(await browser.signedInAs())
                assert.strictEqual(await browser.api(), 401)
                await browser.goto("/")
                assert.notInclude(await browser.text(), "signed in as")
              }
              assert.strictEqual(await bob.api(), 200)
            }
            assert.deepStrictEqual(await desk.cookies().then(Object.keys), [])
            assert.strictEqual(await app.sessions(), 1)
            await bob.signOut()
          })
        }),
      120_000
    )

    it.effect(
      "ends the session of a browser in both processes if its user signs out at the authorization server",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const [desk, phone] = yield* Effect.all([open, open])
          yield* Effect.promise(async () => {
            await desk.signIn("alice")
            await phone.signIn("alice")
            const { page } = desk
            await page.goto(`${app.issuer}/session/end`)
            await page.getByRole("button", { name: "Sign out" }).click()
            await page.getByText("You are signed out.").waitFor()
            for (const process of ["1", "2"] as const) {
              app.route(() => process)
              assert.isUndefined(await desk.signedInAs())
              assert.strictEqual(await desk.api(), 401)
              assert.strictEqual(await phone.api(), 200)
            }
            assert.strictEqual(await app.sessions(), 1)
            await phone.signOut()
          })
        }),
      120_000
    )

    it.effect(
      "serves the session and ends a sign-in after the process that began them was killed",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const [alice, bob] = yield* Effect.all([open, open])
          yield* Effect.promise(async () => {
            app.route(() => "1")
            await alice.signIn("alice")
            await alice.addNote("before the crash")
            await bob.goto("/notes")
            app.route()
            await app.kill("1")

            await alice.page.reload()
            assert.strictEqual(await alice.user(), "alice")
            await alice.addNote("after the crash")
            assert.include(await alice.text(), "before the crash")
            await bob.submitName("bob")
            assert.strictEqual(await bob.user(), "bob")
            assert.strictEqual(await app.sessions(), 2)

            await app.restart("1")
            app.route(() => "1")
            for (const browser of [alice, bob]) await browser.signOut()
            assert.strictEqual(await app.sessions(), 0)
          })
        }),
      120_000
    )
  })
})
