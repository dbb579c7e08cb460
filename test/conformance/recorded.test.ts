/** Replays the recorded requests of FastAPI's own tests, and compares the responses. */
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import { decodeJwt } from "jose"
import { apps } from "./apps/index.ts"
import { type Case, cases } from "./Case.ts"
import { type WireResponse, json, send, values } from "./Wire.ts"

const placeholder = "<access_token>"

const accessToken = (answer: WireResponse): string => {
  const body = json(answer)
  assert.isTrue(typeof body === "object" && body !== null && "access_token" in body)
  const token = (body as Record<string, unknown>)["access_token"]
  assert.isString(token)
  return token as string
}

/**
 * Maps texts of FastAPI's pages to the equivalent texts of `SwaggerUi` pages.
 *
 * FastAPI writes its configuration into inline scripts. `SwaggerUi` writes JSON with relative URLs.
 */
const inOurPages: Readonly<Record<string, string>> = {
  "ui.initOAuth": '"initOAuth":{',
  '"appName": "The Predendapp"': '"appName":"The Predendapp"',
  '"clientId": "the-foo-clients"': '"clientId":"the-foo-clients"',
  "oauth2RedirectUrl: window.location.origin + '/docs/redirect'": '"oauth2RedirectUrl":"./docs/redirect"',
  // The referenced script contains this text.
  "window.opener.swaggerUIRedirectOauth2": '<script src="./scripts/',
  oauth2RedirectUrl: "oauth2RedirectUrl",
  // FastAPI loads the files from a CDN. `SwaggerUi` serves them from a folder with the package's name.
  "swagger-ui-dist": "/swagger-ui-dist/"
}

const assertPage = ({ body }: WireResponse, { contains = [], lacks = [] }: Case["response"]): void => {
  const ours = (text: string) => {
    assert.property(inOurPages, text)
    return inOurPages[text] ?? ""
  }
  for (const text of contains) assert.include(body, ours(text))
  for (const text of lacks) assert.notInclude(body, ours(text))
}

const assertAnswer = (answer: WireResponse, expected: Case["response"]): void => {
  assert.strictEqual(answer.status, expected.status)
  // Effect's router responds to a request without a route, with an empty body.
  if (expected.status === 404) return
  for (const name of ["content-type", "www-authenticate"]) {
    const value = expected.headers[name]
    assert.deepStrictEqual(values(answer, name), value === undefined ? [] : [value])
  }
  if (expected.claims !== undefined) {
    const token = accessToken(answer)
    // The app in scratchpad also signs the claims that RFC 9068 requires, such as the issuer.
    assert.deepInclude<object>(decodeJwt(token), expected.claims)
    assert.strictEqual(answer.body.replace(token, placeholder), JSON.stringify(expected.body))
  } else if (expected.body === undefined) {
    assertPage(answer, expected)
  } else {
    assert.strictEqual(answer.body, JSON.stringify(expected.body))
  }
}

/** Sends the requests of one FastAPI test in order, and compares each response. */
const replay = Effect.fnUntraced(function* (exchanges: ReadonlyArray<Case>) {
  let token = placeholder
  for (const { request, response } of exchanges) {
    const headers = Object.entries(request.headers).map(
      ([name, value]) => [name, value.replace(placeholder, token)] as const
    )
    const answer = yield* send(request.method, request.path, {
      headers,
      ...(request.body === undefined ? undefined : { body: request.body })
    })
    assertAnswer(answer, response)
    if (response.claims !== undefined) token = accessToken(answer)
  }
})

const run = cases.filter(({ plan }) => plan === "run")

for (const [app, variants] of Object.entries(apps)) {
  const tests = Map.groupBy(
    run.filter((one) => one.app === app),
    ({ source }) => source
  )
  for (const [variant, server] of Object.entries(variants)) {
    layer(server)(`${app}, ${variant}, responds like FastAPI in`, (it) => {
      for (const [source, exchanges] of tests) it.effect(source, () => replay(exchanges))
    })
  }
}

describe("the recorded cases", () => {
  const rows = (plan: Case["plan"]) => cases.filter((one) => one.plan === plan).map(({ row }) => row)

  it("are each run, compared as a document, or left out", () => {
    const all = [...rows("run"), ...rows("document"), ...rows("left out")].toSorted((a, b) => a - b)
    assert.deepStrictEqual(
      all,
      Array.from({ length: 82 }, (_, i) => i + 1)
    )
    assert.deepStrictEqual([rows("run").length, rows("document").length, rows("left out").length], [49, 7, 26])
  })

  it("have a reason if and only if recorded.test.ts does not run them", () => {
    for (const { because, plan, row } of cases) assert.strictEqual(because === undefined, plan === "run", `row ${row}`)
  })

  it("each run against an app in test/conformance/apps", () => {
    assert.deepStrictEqual(new Set(run.map(({ app }) => app)), new Set(Object.keys(apps)))
  })

  it("include FastAPI's response to a request without credentials", () => {
    const bodies = run
      .filter(({ response }) => response.status === 401)
      .map(({ response }) => JSON.stringify(response.body))
    assert.include(bodies, '{"detail":"Not authenticated"}')
  })
})
