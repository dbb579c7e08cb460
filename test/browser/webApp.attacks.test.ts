/**
 * Pages of other sites, and of a sibling subdomain, that send requests to the example `web-app` from the browser of a
 * signed-in user. The browser is real, so its rules for cookies decide, too.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createServer } from "node:https"
import type { Page } from "playwright-core"
import * as Proxy from "../../scratchpad/web-app/Proxy.ts"
import { selfSigned } from "../support/certificates.ts"
import { freePort } from "../support/program.ts"
import { Browsers, fresh, missing, open, type Received, type Visitor, WebApp } from "./WebApp.ts"

/** Starts the attacker's server, whose pages are empty. Returns its port, which all of its hosts have. */
const attackerPort = Effect.gen(function* () {
  const port = yield* freePort
  const server = createServer(selfSigned("evil.localhost"))
  server.on("request", (_, response) => response.setHeader("content-type", "text/html").end("<!doctype html>"))
  yield* Proxy.listen(server, port)
  return port
})

/** Hosts of the attacker. Chromium resolves every name below localhost to this machine. */
const hosts = {
  "another site": { host: "evil.localhost", site: "cross-site" },
  "a sibling subdomain": { host: "blog.app.localhost", site: "same-site" }
} as const

interface Form {
  readonly action: string
  readonly method?: "GET" | "POST"
  readonly enctype?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly target?: string
}

/** Submits a form of the page. */
const submit = (page: Page, form: Form) =>
  page.evaluate(({ action, enctype, fields = {}, method = "POST", target }) => {
    const form = document.createElement("form")
    Object.assign(form, { action, method, ...(enctype && { enctype }), ...(target && { target }) })
    for (const [name, value] of Object.entries(fields)) {
      const input = document.createElement("input")
      Object.assign(input, { type: "hidden", name, value })
      form.append(input)
    }
    document.body.append(form)
    form.submit()
  }, form)

interface Request {
  readonly mode?: RequestMode
  readonly method?: "POST"
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Sends a request of a script, and returns the type of the response, or the error. */
const send = (page: Page, url: string, init: Request) =>
  page.evaluate(
    async ([url, init]) => {
      try {
        const response = await fetch(url, { credentials: "include", ...init })
        return `${response.type} ${response.status}`
      } catch (error) {
        return String(error)
      }
    },
    [url, init] as const
  )

/** Loads an image, and returns whether the browser shows it. */
const image = (page: Page, url: string) =>
  page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const image = new Image()
        image.addEventListener("load", () => resolve("shown"))
        image.addEventListener("error", () => resolve("refused"))
        image.src = url
      }),
    url
  )

/** Loads a page in a frame, and returns the text that the frame has. */
const frame = async (page: Page, url: string) => {
  await page.evaluate(
    (url) =>
      new Promise((resolve) => {
        const frame = document.createElement("iframe")
        frame.addEventListener("load", resolve)
        frame.src = url
        document.body.append(frame)
      }),
    url
  )
  const [child] = page.mainFrame().childFrames()
  return child === undefined ? "" : child.evaluate(() => document.documentElement.innerText).catch(() => "")
}

describe.skipIf(missing)("requests of other pages to the web app", () => {
  layer(Layer.merge(Browsers, WebApp.layer), { timeout: "3 minutes" })((it) => {
    /** Runs attacks in a tab of a signed-in user. Afterwards, everything is as before. */
    const attack = (
      { host, site }: (typeof hosts)[keyof typeof hosts],
      run: (
        attacker: Page,
        received: (send: () => Promise<unknown>, path: string) => Promise<ReadonlyArray<Received>>,
        alice: Visitor,
        origin: string
      ) => Promise<void>
    ) =>
      Effect.gen(function* () {
        const app = yield* fresh
        const alice = yield* open
        const port = yield* attackerPort
        yield* Effect.promise(async () => {
          await alice.signIn("alice")
          const cookies = await alice.cookies()
          const notes = await app.notes("alice")
          const attacker = await alice.context.newPage()
          await attacker.goto(`https://${host}:${port}/`)
          const received = async (send: () => Promise<unknown>, path: string) => {
            app.received.length = 0
            await send()
            await attacker.waitForLoadState()
            const requests = app.received.filter((request) => request.path === path)
            for (const request of requests) assert.strictEqual(request.site, site, JSON.stringify(request))
            return requests
          }
          await run(attacker, received, alice, app.origin)
          // The user is still signed in, in the same session, and nothing has changed.
          assert.strictEqual(await alice.signedInAs(), "alice")
          assert.deepStrictEqual(await alice.cookies(), cookies)
          assert.strictEqual(await app.sessions(), 1)
          assert.deepStrictEqual(await app.notes("alice"), notes)
          await alice.signOut()
        })
      }).pipe(Effect.scoped)

    for (const [name, from] of Object.entries(hosts)) {
      const isSibling = from.site === "same-site"
      // The browser sends a Lax cookie with requests of a sibling subdomain, so the app must refuse these requests.
      const refused = isSibling ? 400 : 401

      it.effect(
        `refuses forms of ${name} that write, sign out, or sign out everywhere`,
        () =>
          attack(from, async (attacker, received, alice, origin) => {
            const cases = [
              ["/api/notes", { enctype: "text/plain", fields: { '{"text":"planted","x":"': '"}' } }, refused],
              ["/api/notes", { fields: { text: "planted" } }, refused],
              ["/sign-out-everywhere", {}, refused],
              ["/logout", {}, 403]
            ] as const
            for (const [path, form, status] of cases) {
              const home = attacker.url()
              const requests = await received(async () => {
                const response = attacker.waitForResponse(`${origin}${path}`)
                await submit(attacker, { action: `${origin}${path}`, ...form })
                await response
              }, path)
              assert.deepStrictEqual(
                requests.map((request) => [request.method, request.status, request.hasSession]),
                [["POST", status, isSibling]],
                path
              )
              assert.strictEqual(await alice.api(), 200, path)
              await attacker.goto(home)
            }
          }),
        120_000
      )

      it.effect(
        `refuses requests of scripts of ${name}, with and without CORS, and shows them nothing`,
        () =>
          attack(from, async (attacker, received, _, origin) => {
            const body = JSON.stringify({ text: "planted" })
            const blocked = "TypeError: Failed to fetch"
            const opaque = "opaque 0"
            const simple = [
              ["/api/notes", { mode: "no-cors" }, opaque, refused],
              ["/api/notes", { mode: "no-cors", method: "POST", body }, opaque, refused],
              ["/api/notes", { mode: "cors" }, blocked, refused],
              ["/api/notes", { mode: "cors", method: "POST", body }, blocked, refused],
              ["/notes", { mode: "cors" }, blocked, refused],
              ["/session", { mode: "cors" }, blocked, 403],
              ["/logout", { mode: "no-cors", method: "POST" }, opaque, 403],
              ["/sign-out-everywhere", { mode: "no-cors", method: "POST" }, opaque, refused],
              ["/login", { mode: "no-cors" }, opaque, 401]
            ] as const
            for (const [path, init, seen, status] of simple) {
              const requests = await received(
                async () => assert.strictEqual(await send(attacker, `${origin}${path}`, init), seen, path),
                path
              )
              assert.deepStrictEqual(
                requests.map((request) => [request.status, request.hasSession]),
                [[status, isSibling]],
                `${path} ${JSON.stringify(init)}`
              )
            }
            // The header of the app needs the permission of the app, which the browser asks for first.
            const requests = await received(
              async () =>
                assert.strictEqual(
                  await send(attacker, `${origin}/api/notes`, { method: "POST", body, headers: { "X-CSRF": "1" } }),
                  blocked
                ),
              "/api/notes"
            )
            assert.deepStrictEqual(
              requests.filter(({ method }) => method !== "OPTIONS"),
              []
            )
          }),
        120_000
      )

      it.effect(
        `shows no image and no frame of the app to ${name}, and starts no sign-in in them`,
        () =>
          attack(from, async (attacker, received, _, origin) => {
            for (const [path, status] of [
              ["/api/notes", refused],
              ["/notes", refused],
              ["/login", 401],
              ["/logout", 404]
            ] as const) {
              const requests = await received(
                async () => assert.strictEqual(await image(attacker, `${origin}${path}`), "refused"),
                path
              )
              assert.deepStrictEqual(
                requests.map(({ status }) => status),
                [status],
                path
              )
            }
            for (const path of ["/", "/notes", "/login?return_to=/notes"]) {
              const home = attacker.url()
              assert.notInclude(await frame(attacker, `${origin}${path}`), "alice", path)
              await attacker.goto(home)
            }
          }),
        120_000
      )
    }

    it.effect(
      "ignores cookies that a sibling subdomain plants for the domain",
      () =>
        attack(hosts["a sibling subdomain"], async (attacker, _, alice, origin) => {
          await attacker.evaluate(() => {
            for (const name of ["session", "__Host-session", "__Host-session.login.AAAAAAAA"]) {
              document.cookie = `${name}=${"A".repeat(64)}; Domain=app.localhost; Path=/; Secure; SameSite=None`
            }
          })
          const planted = await alice.context.cookies(origin)
          assert.sameMembers(
            planted.map(({ name }) => name),
            ["session", "__Host-session"]
          )
          assert.strictEqual(await alice.api(), 200)
          await alice.context.clearCookies({ name: "session" })
        }),
      120_000
    )

    it.effect(
      "follows a link of another site to a page of the user, and shows nothing to the other site",
      () =>
        attack(hosts["another site"], async (attacker, _, alice, origin) => {
          const [popup] = await Promise.all([
            attacker.waitForEvent("popup"),
            attacker.evaluate((url) => void window.open(url), `${origin}/notes`)
          ])
          await popup.waitForURL(`${origin}/notes`)
          assert.strictEqual(await alice.user(popup), "alice")
          await popup.close()
        }),
      120_000
    )

    it.effect(
      "signs no user in with the sign-in of an attacker",
      () =>
        Effect.gen(function* () {
          const app = yield* fresh
          const [mallory, alice] = yield* Effect.all([open, open])
          yield* Effect.promise(async () => {
            // Mallory signs in until the authorization server has issued a code, and keeps the address.
            let link = ""
            mallory.page.on("request", (request) => {
              if (request.url().startsWith(`${app.origin}/callback?`)) link = request.url()
            })
            app.route((path) => (path.startsWith("/callback") ? undefined : "1"))
            await mallory.goto("/notes")
            await mallory.submitName("mallory")
            app.route()
            assert.lengthOf(Object.keys(await mallory.cookies()), 1)
            const [code = "", state = ""] = ["code", "state"].map((name) => new URL(link).searchParams.get(name) ?? "")

            // Alice is signed out, and opens the link.
            const response = await alice.page.goto(link)
            assert.strictEqual(response?.status(), 400)
            assert.include(await alice.text(), "This sign-in has expired, or it was already used.")
            assert.deepStrictEqual(await alice.cookies(), {})

            // Alice is in the middle of her own sign-in. The code of Mallory does not work with the state of Alice.
            const own = await alice.context.newPage()
            const asked = own.waitForRequest((request) => request.url().startsWith(`${app.issuer}/auth?`))
            await alice.goto("/notes", own)
            const ownState = new URL((await asked).url()).searchParams.get("state") ?? ""
            assert.notStrictEqual(ownState, state)
            const mixed = link.replace(state, ownState)
            assert.strictEqual((await alice.page.goto(mixed))?.status(), 400)
            assert.include(mixed, code)
            assert.deepStrictEqual(await alice.cookies(), {})
            assert.strictEqual(await app.sessions(), 0)

            // Alice is signed in, and stays Alice.
            await alice.signIn("alice")
            const cookies = await alice.cookies()
            await alice.page.goto(link)
            assert.strictEqual(alice.page.url(), `${app.origin}/`)
            assert.strictEqual(await alice.user(), "alice")
            assert.deepStrictEqual(await alice.cookies(), cookies)
            await alice.goto("/notes")
            await alice.signOut()
            assert.strictEqual(await app.sessions(), 0)
          })
        }),
      120_000
    )
  })
})
