/** The web page of `npm start` over a real socket, with the cookies and headers of a browser. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { authorizationCode } from "../support/AuthorizationCodeFlow.ts"
import * as itemsApi from "../support/itemsApi.ts"
import { freePort, start } from "../support/program.ts"
import { hiddenFields, type Visit, Visitor } from "../support/Visitor.ts"

const { ItemsProgram } = itemsApi

/** Follows the link of the start page, and sends the form of the authorization server. */
const signIn = async (visitor: Visitor, api: string, name: string): Promise<Visit> => {
  const home = await visitor.open(`${api}/`)
  const link = /<a href="([^"]+)">Sign in<\/a>/.exec(home.text)?.[1] ?? "no link"
  const form = await visitor.open(new URL(link, api).href)
  assert.include(form.text, "items-web requests: openid items:read items:write")
  return visitor.open(form.url, { form: { login: name } })
}

/** Sends both forms: that of the page, and that of the authorization server. */
const signOut = async (visitor: Visitor, api: string): Promise<Visit> => {
  const form = await visitor.open(`${api}/logout`, { form: {} })
  const action = /action="([^"]+)"/.exec(form.text)?.[1] ?? ""
  return visitor.open(action, { form: { ...hiddenFields(form.text), logout: "yes" } })
}

const add = (visitor: Visitor, api: string, name: string) => visitor.open(`${api}/your-items`, { form: { name } })

const itemsIn = ({ text }: Visit) => Array.from(text.matchAll(/<li>(.*?)<\/li>/g), ([, item]) => item)

const asScript = { accept: "*/*", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty" }

layer(ItemsProgram.layer)("the web page of npm start", (it) => {
  const test = (
    name: string,
    check: (program: { readonly api: string; readonly issuer: string; readonly stdout: string }) => Promise<void>
  ) =>
    it.effect(
      name,
      () =>
        Effect.flatMap(ItemsProgram, ({ api, issuer, program }) =>
          Effect.promise(() => check({ api, issuer, stdout: program.output.stdout }))
        ),
      30_000
    )

  test("greets a visitor with a link to sign in, and a link to the documentation", async ({ api, stdout }) => {
    assert.match(stdout, new RegExp(`^Open ${api} for the web page: sign in as demo`, "m"))
    const home = await new Visitor().open(`${api}/`)
    assert.strictEqual(home.status, 200)
    assert.include(home.text, `<a href="/login?return_to=%2Fyour-items">Sign in</a>`)
    assert.include(home.text, `<a href="/docs">documentation</a>`)
    assert.notInclude(home.text, "Sign out")
  })

  test("shows each user the user's own items, and text of users stays text", async ({ api }) => {
    const alice = new Visitor()
    const bob = new Visitor()
    const first = await signIn(alice, api, "alice")
    assert.strictEqual(first.url, `${api}/your-items`)
    assert.include(first.text, "You are signed in as <strong>alice</strong>.")
    assert.include(first.text, "You have no items.")
    const added = await add(alice, api, `<b>"pen" & ink`)
    assert.deepStrictEqual(itemsIn(added), ["&#60;b&#62;&#34;pen&#34; &#38; ink"])
    assert.lengthOf(added.chain, 2, "a redirect follows the form")
    await signIn(bob, api, "<i>bob")
    const ofBob = await add(bob, api, "Paper")
    assert.include(ofBob.text, "You are signed in as <strong>&#60;i&#62;bob</strong>.")
    assert.deepStrictEqual(itemsIn(ofBob), ["Paper"])
    assert.lengthOf(itemsIn(await alice.open(`${api}/your-items`)), 1)
  })

  test("has no script, is not stored, and its forms reach the app and the issuer only", async ({ api, issuer }) => {
    const visitor = new Visitor()
    const pages = [await visitor.open(`${api}/`), await signIn(visitor, api, "demo")]
    for (const [index, { headers, text }] of pages.entries()) {
      assert.match(
        String(headers["content-security-policy"]),
        new RegExp(
          `^default-src 'none'; style-src 'sha256-[^']+'; form-action 'self'${index === 0 ? "" : ` ${issuer}`}; base-uri 'none'; frame-ancestors 'none'$`
        )
      )
      assert.strictEqual(headers["cache-control"], "no-store")
      assert.strictEqual(headers["referrer-policy"], "no-referrer")
      assert.notMatch(text, /<script|javascript:| on[a-z]+=| style=/)
    }
  })

  test("gives the browser a session cookie, and no token", async ({ api }) => {
    const visitor = new Visitor()
    const { text } = await signIn(visitor, api, "demo")
    const [session = "", ...others] = visitor.setCookies.filter((line) => /^items-session=[^;]/.test(line))
    assert.match(session, /^items-session=[\w.-]{40,200}; Path=\/; HttpOnly; SameSite=Lax$/)
    assert.lengthOf(others, 0)
    for (const sent of [text, ...visitor.setCookies.filter((line) => line.startsWith("items-"))]) {
      assert.notMatch(sent, /eyJ/)
    }
  })

  test("has the requirement of the API: page and API accept the session and a bearer token", async ({
    api,
    issuer
  }) => {
    const visitor = new Visitor()
    await signIn(visitor, api, "erin")
    await add(visitor, api, "Ruler")
    const withHeader = { headers: { ...asScript, "x-csrf": "1" } }
    const ofApi = await visitor.open(`${api}/items`, withHeader)
    assert.strictEqual(ofApi.status, 200)
    assert.deepInclude(
      JSON.parse(ofApi.text).map(({ name, owner }: { name: string; owner: string }) => ({ name, owner })),
      { name: "Ruler", owner: "erin" }
    )
    const { access_token } = await Effect.runPromise(
      authorizationCode({
        issuer,
        clientId: "items-docs",
        redirectUri: `${api}/docs/oauth2-redirect`,
        scope: "items:read",
        login: "erin"
      })
    )
    const bearer = { headers: { authorization: `Bearer ${access_token}` } }
    assert.deepStrictEqual(itemsIn(await new Visitor().open(`${api}/your-items`, bearer)), ["Ruler"])
    // The token has items:read only, and the page names what is missing.
    const form = { form: { name: "No" }, ...bearer }
    const refused = await new Visitor().open(`${api}/your-items`, form)
    assert.strictEqual(refused.status, 403)
    assert.include(refused.text, "It lacks: items:write")
  })

  test("asks a script for the static header, and refuses forms of another site", async ({ api }) => {
    const visitor = new Visitor()
    await signIn(visitor, api, "frank")
    const script = await visitor.open(`${api}/items`, { headers: asScript })
    assert.deepStrictEqual([script.status, script.text], [401, '{"detail":"Not authenticated"}\n'])
    const fromElsewhere = {
      headers: { "sec-fetch-site": "cross-site", origin: "https://evil.test" },
      form: { name: "Forged" }
    }
    assert.strictEqual((await visitor.open(`${api}/your-items`, fromElsewhere)).status, 401)
    assert.strictEqual((await visitor.open(`${api}/logout`, fromElsewhere)).status, 403)
    const still = await visitor.open(`${api}/your-items`)
    assert.deepStrictEqual([still.status, itemsIn(still)], [200, []])
  })

  test("ends the session at the sign-out, also for a copy of the cookie", async ({ api, issuer }) => {
    const visitor = new Visitor()
    await signIn(visitor, api, "grace")
    const copy = new Visitor()
    for (const [key, value] of visitor.jar) if (key.endsWith(" items-session")) copy.jar.set(key, value)
    assert.strictEqual((await copy.open(`${api}/your-items`)).url, `${api}/your-items`)
    const home = await signOut(visitor, api)
    assert.strictEqual(home.url, `${api}/`)
    assert.include(home.text, "Sign in to see your items.")
    for (const browser of [visitor, copy]) {
      const { headers, status } = await browser.open(`${api}/your-items`, { follows: false })
      assert.deepStrictEqual([status, headers["location"]], [303, "/login?return_to=%2Fyour-items"])
      const script = { headers: { ...asScript, "x-csrf": "1" } }
      assert.strictEqual((await browser.open(`${api}/items`, script)).status, 401)
    }
    // The session of the authorization server has ended, too, so it asks for a name.
    const form = await visitor.open(`${api}/your-items`)
    assert.isTrue(form.url.startsWith(`${issuer}/interaction/`))
  })

  test("tells a user without the scope what is missing, and offers the sign-out", async ({ api }) => {
    const visitor = new Visitor()
    const page = await signIn(visitor, api, "guest")
    assert.deepStrictEqual([page.status, page.url], [403, `${api}/your-items`])
    assert.include(page.text, "Your account must not read or add items. It lacks: items:read")
    assert.include(page.text, "Sign out</button>")
    assert.strictEqual((await add(visitor, api, "No")).status, 403)
    assert.strictEqual((await signOut(visitor, api)).url, `${api}/`)
    const next = await signIn(visitor, api, "heidi")
    assert.include(next.text, "You have no items.")
  })

  test("shows a form that it refuses again, with the reason", async ({ api }) => {
    const visitor = new Visitor()
    await signIn(visitor, api, "ivan")
    for (const name of ["", "   ", "x".repeat(101)]) {
      const page = await add(visitor, api, name)
      assert.strictEqual(page.status, 400)
      assert.include(page.text, `<p role="alert" id="message">Enter a name of 1 to 100 characters.</p>`)
      assert.include(page.text, `aria-invalid="true" aria-describedby="message"`)
    }
    assert.deepStrictEqual(itemsIn(await visitor.open(`${api}/your-items`)), [])
  })

  test("leads from localhost to the address of the sign-in", async ({ api }) => {
    for (const path of ["/", "/your-items"]) {
      const page = await new Visitor().open(api.replace("127.0.0.1", "localhost") + path)
      assert.strictEqual(page.url, `${api}/`)
    }
  })
})

describe("the session of the web page", () => {
  it.live(
    "leads to the sign-in after its idle time-out, and after a form that is sent too late",
    () =>
      Effect.gen(function* () {
        const { api, clock, issuer } = yield* itemsApi.onClock
        yield* Effect.promise(async () => {
          const visitor = new Visitor()
          await signIn(visitor, api, "demo")
          await add(visitor, api, "Ink")
          assert.deepStrictEqual(itemsIn(await visitor.open(`${api}/your-items`)), ["Ink"])
          clock.offset = itemsApi.aDayLater
          for (const form of [undefined, { name: "Too late" }]) {
            const options = form === undefined ? {} : { form }
            const { headers, status, text } = await visitor.open(`${api}/your-items`, { follows: false, ...options })
            assert.deepStrictEqual([status, headers["location"]], [303, "/login?return_to=%2Fyour-items"])
            assert.notInclude(text, "Ink")
          }
          assert.include((await visitor.open(`${api}/`)).text, "Sign in to see your items.")
          // The session of the authorization server has not ended, so the user gets a session without a form.
          clock.offset = 0
          const again = await visitor.open(`${api}/your-items`)
          assert.strictEqual(again.url, `${api}/your-items`)
          assert.isTrue(again.chain.some((url) => url.startsWith(`${issuer}/auth?`)))
          assert.deepStrictEqual(itemsIn(again), ["Ink"])
        })
      }),
    30_000
  )

  it.live(
    "does not exist behind a proxy, where the start page leads to the documentation",
    () =>
      Effect.gen(function* () {
        const port = yield* freePort
        const program = yield* start(itemsApi.file, {
          PORT: String(port),
          AUTHORIZATION_SERVER_PORT: String(yield* freePort),
          PUBLIC_URL: "https://example.com/prefix"
        })
        yield* program.waitFor("Ctrl-C ends the program.")
        assert.notInclude(program.output.stdout, "web page")
        yield* Effect.promise(async () => {
          const visitor = new Visitor()
          const home = await visitor.open(`http://127.0.0.1:${port}/`, { follows: false })
          assert.deepStrictEqual([home.status, home.headers["location"]], [302, "docs"])
          for (const path of ["/your-items", "/login"]) {
            assert.strictEqual((await visitor.open(`http://127.0.0.1:${port}${path}`)).status, 404)
          }
        })
      }),
    30_000
  )
})
