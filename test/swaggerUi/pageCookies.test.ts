/** The documentation page beside a session cookie, which a browser adds to every request of the page. */
import { assert, describe, it } from "@effect/vitest"
import * as scripts from "../../src/swaggerUi/scripts.ts"

interface Sent {
  readonly headers?: Readonly<Record<string, string>>
  readonly loadSpec?: boolean
  credentials: string
}

interface Configuration {
  readonly requestInterceptor: (request: Sent) => Sent
  readonly plugins: ReadonlyArray<
    () => {
      readonly statePlugins: {
        readonly auth: {
          readonly wrapSelectors: { readonly definitionsToAuthorize: (original: () => unknown) => () => unknown }
        }
      }
    }
  >
}

/** Runs the script of the page with a simulated browser, and returns the configuration that Swagger UI gets. */
const configurationOf = (parameters: object): Configuration => {
  const found: Array<Configuration> = []
  const configuration = JSON.stringify({ url: "./openapi.json", initOAuth: {}, parameters })
  class StyleSheet {
    replaceSync() {}
  }
  // eslint-disable-next-line typescript/no-implied-eval
  new Function("window", "location", "document", "CSSStyleSheet", "SwaggerUIBundle", scripts.page)(
    {},
    { href: "https://api.test/docs" },
    { getElementById: () => ({ textContent: configuration }) },
    StyleSheet,
    Object.assign(
      (given: Configuration) => {
        found.push(given)
        return { initOAuth: () => {} }
      },
      { presets: {} }
    )
  )
  const [given] = found
  assert.isDefined(given)
  return given
}

const token = { headers: { Authorization: "Bearer token" } }
const rows: ReadonlyArray<readonly [name: string, parameters: object, request: object, credentials: string]> = [
  ["omits cookies from a request with a token", {}, token, "omit"],
  ["omits cookies, however the header is written", {}, { headers: { authorization: "Basic x" } }, "omit"],
  ["keeps the cookies of a request without a login", {}, { headers: { Accept: "*/*" } }, "same-origin"],
  ["keeps the cookies of a request without headers", {}, {}, "same-origin"],
  ["keeps the cookies with a token if the app wants them", { withCredentials: true }, token, "same-origin"],
  ["omits cookies from each call if the app wants none", { withCredentials: false }, {}, "omit"],
  ["omits cookies from a call with a token if the app wants none", { withCredentials: false }, token, "omit"],
  ["reads a protected document with cookies", { withCredentials: false }, { loadSpec: true }, "same-origin"]
]

describe("a request of the documentation page", () => {
  it.each(rows)("%s", (_, parameters, request, credentials) => {
    const { requestInterceptor } = configurationOf(parameters)
    const sent = requestInterceptor({ credentials: "same-origin", ...request })
    assert.deepStrictEqual(sent, { ...request, credentials })
  })
})

/** A list of Immutable.js, as far as the script uses it. */
const listOf = (definitions: ReadonlyArray<Readonly<Record<string, object>>>): object => ({
  size: definitions.length,
  filterNot: (isHidden: (definition: object) => boolean) =>
    listOf(
      definitions.filter(
        (definition) =>
          !isHidden({
            every: (test: (scheme: Map<string, unknown>) => boolean) =>
              Object.values(definition).every((scheme) => test(new Map(Object.entries(scheme))))
          })
      )
    ),
  names: definitions.flatMap(Object.keys)
})

describe("the dialog of the documentation page", () => {
  const oauth2 = { OAuth2: { type: "oauth2" } }
  const key = { Key: { type: "apiKey", in: "header" } }
  const session = { OAuth2Session: { type: "apiKey", in: "cookie" } }
  it.each([
    ["has no field for a session cookie beside a login", [oauth2, session, key], ["OAuth2", "Key"]],
    ["names the session cookie if the API accepts nothing else", [session], ["OAuth2Session"]],
    ["is empty without schemes", [], []]
  ])("%s", (_, definitions, shown) => {
    const [plugin] = configurationOf({}).plugins
    const select = plugin?.().statePlugins.auth.wrapSelectors.definitionsToAuthorize(() => listOf(definitions))
    assert.deepInclude(select?.(), { size: shown.length, names: shown })
  })
})
