/** The redirect page and its script, which runs with a simulated window. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as scripts from "../../src/swaggerUi/scripts.ts"
import { times } from "../support/times.ts"
import { referencesOf, servePage } from "../support/documentationPages.ts"

describe("the redirect page", () => {
  it.effect("may only run its own script, and does not contain the code", () =>
    Effect.gen(function* () {
      const send = yield* servePage()
      const { body, headers } = yield* send("/docs/oauth2-redirect?code=secret&state=<x>")
      assert.strictEqual(headers.get("content-type"), "text/html; charset=utf-8")
      assert.strictEqual(
        headers.get("content-security-policy"),
        "default-src 'none'; script-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
      )
      assert.strictEqual(headers.get("referrer-policy"), "no-referrer")
      assert.notInclude(body, "secret")
      const [script = ""] = referencesOf(body)
      assert.strictEqual(
        (yield* send(new URL(script, "http://h/docs/oauth2-redirect").pathname)).body,
        scripts.redirect
      )
    })
  )

  interface Outcome {
    readonly message: string
    readonly closed: boolean
    readonly errors: ReadonlyArray<{ readonly message: string; readonly level: string; readonly authId: string }>
    readonly answers: ReadonlyArray<{
      readonly auth: { readonly code?: string }
      readonly token?: unknown
      readonly isValid?: boolean
    }>
  }

  /** Runs the page's script in a simulated window, whose opener waits for a response with the state `sent`. */
  const runScript = (
    search: string,
    options: { flow?: string; hash?: string; opener?: object | null; state?: unknown; times?: number } = {}
  ): Outcome => {
    const { flow = "authorizationCode", hash = "", state, times: runs } = { state: "sent", times: 1, ...options }
    const errors: Array<Outcome["errors"][number]> = []
    const answers: Array<Outcome["answers"][number]> = []
    const opener = {
      swaggerUIRedirectOauth2: {
        auth: { name: "OAuth2", schema: new Map([["flow", flow]]) },
        state,
        redirectUrl: "http://localhost/docs/oauth2-redirect",
        callback: (answer: Outcome["answers"][number]) => answers.push(answer),
        errCb: (error: Outcome["errors"][number]) => errors.push(error)
      }
    }
    const element = { textContent: "" }
    let closed = false
    const window = { opener: options.opener === undefined ? opener : options.opener, close: () => (closed = true) }
    for (const _ of times(runs)) {
      // eslint-disable-next-line typescript/no-implied-eval
      new Function("window", "location", "document", scripts.redirect)(
        window,
        { search, hash },
        { getElementById: () => element }
      )
    }
    return { message: element.textContent, closed, errors, answers }
  }

  it("passes the code to the opener, and closes", () => {
    const { answers, closed, errors } = runScript("?code=c%2B1&state=sent&iss=https%3A%2F%2Fidp.example.com")
    assert.deepStrictEqual([answers.length, answers[0]?.auth.code, errors.length, closed], [1, "c+1", 0, true])
  })

  it.each([
    ["another state", "?code=c&state=forged"],
    ["no state", "?code=c"],
    ["an empty state", "?code=c&state="],
    ["two states", "?code=c&state=sent&state=forged"],
    ["another state, with an error", "?error=access_denied&state=forged"],
    ["no parameters", ""]
  ])("refuses a response with %s", (_, search) => {
    const { answers, closed, errors } = runScript(search)
    assert.deepStrictEqual([answers.length, errors.length, closed], [0, 1, true])
    assert.include(errors[0]?.message, "state")
    assert.deepInclude(errors[0], { level: "error", authId: "OAuth2" })
    for (const flow of ["implicit", "accessCode"]) assert.lengthOf(runScript(search, { flow }).answers, 0)
  })

  it.each([
    ["authorizationCode", "?code=c&state=sent", ""],
    ["implicit", "", "#access_token=t&token_type=bearer&state=sent"]
  ])("accepts a response once, and refuses a second response with the same state (%s)", (flow, search, hash) => {
    const { answers, errors } = runScript(search, { flow, hash, times: 3 })
    assert.deepStrictEqual([answers.length, errors.length], [1, 2])
    for (const { message } of errors) assert.include(message, "state")
  })

  it.each([
    ["with a state", "&state=sent"],
    ["without a state", ""],
    ["with an empty state", "&state="],
    ['with the state "undefined"', "&state=undefined"]
  ])("refuses a response %s if no state is pending", (_, state) => {
    for (const pending of [undefined, null, ""]) {
      for (const [flow, search, hash] of [
        ["authorizationCode", `?code=c${state}`, ""],
        ["implicit", "", `#access_token=t${state}`]
      ] as const) {
        const { answers, errors } = runScript(search, { flow, hash, state: pending })
        assert.deepStrictEqual([answers.length, errors.length], [0, 1])
        assert.include(errors[0]?.message, "state")
      }
    }
  })

  it("reports the authorization server's error", () => {
    const at = "&error_description=Not+you&error_uri=https%3A%2F%2Fidp.example.com%2Fwhy"
    const { answers, errors } = runScript(`?state=sent&error=access_denied${at}`)
    assert.lengthOf(answers, 0)
    assert.strictEqual(errors[0]?.message, "[access_denied]: Not you. More info: https://idp.example.com/why")
    assert.include(runScript("?state=sent&error=x&code=c").errors[0]?.message, "[x]")
    assert.include(runScript("?state=sent").errors[0]?.message, "[Authorization failed]")
  })

  it("passes the token of the implicit flow from the fragment to the opener", () => {
    const { answers } = runScript("", { flow: "implicit", hash: "#access_token=t&token_type=bearer&state=sent" })
    assert.deepInclude(answers[0], {
      token: { access_token: "t", token_type: "bearer", state: "sent" },
      isValid: true
    })
  })

  it("stays open and says what to do if no opener waits for a response", () => {
    const crossOrigin = {
      get swaggerUIRedirectOauth2() {
        throw new Error("Blocked a frame from accessing a cross-origin frame")
      }
    }
    for (const opener of [null, {}, crossOrigin]) {
      const { closed, message } = runScript("?code=c&state=sent", { opener })
      assert.isFalse(closed)
      assert.include(message, "press Authorize again")
    }
  })
})
