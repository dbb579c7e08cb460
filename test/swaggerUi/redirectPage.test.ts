import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as scripts from "../../src/swaggerUi/scripts.ts"
import { times } from "../support/times.ts"
import { referencesOf, site } from "../support/documentationPages.ts"

describe("the redirect page", () => {
  it.effect("has a script of its own, and may do nothing else", () =>
    Effect.gen(function* () {
      const send = yield* site()
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

  interface Answered {
    readonly message: string
    readonly closed: boolean
    readonly errors: ReadonlyArray<{ readonly message: string; readonly level: string; readonly authId: string }>
    readonly answers: ReadonlyArray<{
      readonly auth: { readonly code?: string }
      readonly token?: unknown
      readonly isValid?: boolean
    }>
  }

  /** Runs the page's script as a browser does, in a window whose opener waits for an answer with the state `sent`. */
  const answered = (
    search: string,
    options: { flow?: string; hash?: string; opener?: object | null; state?: unknown; times?: number } = {}
  ): Answered => {
    const { flow = "authorizationCode", hash = "", state, times: runs } = { state: "sent", times: 1, ...options }
    const errors: Array<Answered["errors"][number]> = []
    const answers: Array<Answered["answers"][number]> = []
    const opener = {
      swaggerUIRedirectOauth2: {
        auth: { name: "OAuth2", schema: new Map([["flow", flow]]) },
        state,
        redirectUrl: "http://localhost/docs/oauth2-redirect",
        callback: (answer: Answered["answers"][number]) => answers.push(answer),
        errCb: (error: Answered["errors"][number]) => errors.push(error)
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

  it("hands over the code", () => {
    const { answers, closed, errors } = answered("?code=c%2B1&state=sent&iss=https%3A%2F%2Fidp.example.com")
    assert.deepStrictEqual([answers.length, answers[0]?.auth.code, errors.length, closed], [1, "c+1", 0, true])
  })

  it.each([
    ["another state", "?code=c&state=forged"],
    ["no state", "?code=c"],
    ["an empty state", "?code=c&state="],
    ["two states", "?code=c&state=sent&state=forged"],
    ["another state, with an error", "?error=access_denied&state=forged"],
    ["nothing", ""]
  ])("refuses an answer with %s", (_, search) => {
    const { answers, closed, errors } = answered(search)
    assert.deepStrictEqual([answers.length, errors.length, closed], [0, 1, true])
    assert.include(errors[0]?.message, "state")
    assert.deepInclude(errors[0], { level: "error", authId: "OAuth2" })
    for (const flow of ["implicit", "accessCode"]) assert.lengthOf(answered(search, { flow }).answers, 0)
  })

  it.each([
    ["authorizationCode", "?code=c&state=sent", ""],
    ["implicit", "", "#access_token=t&token_type=bearer&state=sent"]
  ])("takes an answer once, and refuses it when it comes again (%s)", (flow, search, hash) => {
    const { answers, errors } = answered(search, { flow, hash, times: 3 })
    assert.deepStrictEqual([answers.length, errors.length], [1, 2])
    for (const { message } of errors) assert.include(message, "state")
  })

  it.each([
    ["with a state", "&state=sent"],
    ["without one", ""],
    ["with an empty one", "&state="],
    ["with one that reads as nothing", "&state=undefined"]
  ])("refuses an answer %s where no state is pending", (_, state) => {
    for (const pending of [undefined, null, ""]) {
      for (const [flow, search, hash] of [
        ["authorizationCode", `?code=c${state}`, ""],
        ["implicit", "", `#access_token=t${state}`]
      ] as const) {
        const { answers, errors } = answered(search, { flow, hash, state: pending })
        assert.deepStrictEqual([answers.length, errors.length], [0, 1])
        assert.include(errors[0]?.message, "state")
      }
    }
  })

  it("reports the authorization server's error", () => {
    const at = "&error_description=Not+you&error_uri=https%3A%2F%2Fidp.example.com%2Fwhy"
    const { answers, errors } = answered(`?state=sent&error=access_denied${at}`)
    assert.lengthOf(answers, 0)
    assert.strictEqual(errors[0]?.message, "[access_denied]: Not you. More info: https://idp.example.com/why")
    assert.include(answered("?state=sent&error=x&code=c").errors[0]?.message, "[x]")
    assert.include(answered("?state=sent").errors[0]?.message, "[Authorization failed]")
  })

  it("hands over an implicit token from the fragment", () => {
    const { answers } = answered("", { flow: "implicit", hash: "#access_token=t&token_type=bearer&state=sent" })
    assert.deepInclude(answers[0], {
      token: { access_token: "t", token_type: "bearer", state: "sent" },
      isValid: true
    })
  })

  it("stays open and says what to do where nobody waits", () => {
    const crossOrigin = {
      get swaggerUIRedirectOauth2() {
        throw new Error("Blocked a frame from accessing a cross-origin frame")
      }
    }
    for (const opener of [null, {}, crossOrigin]) {
      const { closed, message } = answered("?code=c&state=sent", { opener })
      assert.isFalse(closed)
      assert.include(message, "press Authorize again")
    }
  })
})
