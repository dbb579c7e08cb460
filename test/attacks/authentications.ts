/** Attacks with a valid token whose user authenticated too weakly or too long ago (class 33). */
import { assert } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { AccessToken, JwtVerifier, OAuth2, Requirement } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import { serve, values } from "../conformance/Wire.ts"
import * as Arena from "./Arena.ts"

type MintOptions = NonNullable<Parameters<TestIssuer["Service"]["mint"]>[0]>
type Services = Layer.Success<typeof layer>

export interface Scenario {
  readonly class: 33
  readonly name: string
  readonly run: Effect.Effect<void, unknown, Services>
}

const urls = { authorizationUrl: "https://issuer.test/authorize", tokenUrl: "https://issuer.test/token" }
const auth = OAuth2.authorizationCode("OAuth2", { ...urls, scopes: { pay: "Pay" }, responses: "rfc6750" })

const subject = Effect.map(AccessToken, ({ subject }) => HttpServerResponse.text(subject))

const Routes = Layer.mergeAll(
  HttpRouter.add("GET", "/strong", subject).pipe(auth.require("pay", Requirement.acr("phr", "mfa"))),
  HttpRouter.add("GET", "/recent", subject).pipe(auth.require("pay", Requirement.authenticatedWithin("5 minutes")))
).pipe(Layer.provide(auth.layer(JwtVerifier.layer({ issuer: "https://issuer.test", audience: Arena.audience }))))

const layer = serve(Routes).pipe(
  Layer.provideMerge(TestIssuer.layer({ issuer: "https://issuer.test", audience: Arena.audience, keys: ["ES256"] })),
  Layer.provideMerge(Arena.Recorder)
)

type Path = "/strong" | "/recent"
const parameters = { "/strong": 'acr_values="phr mfa"', "/recent": 'max_age="300"' } as const
const stepUp = (path: Path) => [401, `Bearer error="insufficient_user_authentication", ${parameters[path]}`] as const
const invalid = [401, 'Bearer error="invalid_token", scope="pay"'] as const
const malformed = [400, 'Bearer error="invalid_request"'] as const
const forMachine = [403, 'Bearer realm="OAuth2"'] as const

/** Sends a token, and asserts the response, and that the response contains no part of the token. */
const assertSent = Effect.fnUntraced(function* (path: Path, token: string, expected: readonly [number, string]) {
  const response = yield* Arena.sendRaw(path, [`Authorization: Bearer ${token}`])
  assert.deepStrictEqual([response.status, values(response, "www-authenticate")], [expected[0], [expected[1]]])
  const whole = JSON.stringify([response, Arena.logged])
  for (const part of token.split(".")) if (part.length > 12) assert.notInclude(whole, part)
})

const ofUser = { scopes: ["pay"], subject: "good" }

/** Asserts that a strong and recent authentication of the same user is accepted. */
const assertAccepted = Effect.fnUntraced(function* (path: Path) {
  const { mint } = yield* TestIssuer
  const token = yield* mint({ ...ofUser, acr: "mfa", authenticatedAgo: "1 minute" })
  const { body, status } = yield* Arena.sendRaw(path, [`Authorization: Bearer ${token}`])
  assert.deepStrictEqual([status, body], [200, "good"])
})

const scenario = (name: string, run: Scenario["run"]): Scenario => ({ class: 33, name, run })

/** A valid token with claims that only look like the required authentication. */
const claiming = (
  path: Path,
  attacks: Readonly<Record<string, MintOptions>>,
  expected: readonly [number, string] = stepUp(path)
): ReadonlyArray<Scenario> =>
  Object.entries(attacks).map(([name, options]) =>
    scenario(
      name,
      Effect.gen(function* () {
        yield* TestClock.adjust("1 day")
        const { mint } = yield* TestIssuer
        yield* assertSent(path, yield* mint({ ...ofUser, ...options }), expected)
        yield* assertAccepted(path)
      })
    )
  )

const now = 86_400

export const scenarios: ReadonlyArray<Scenario> = [
  ...claiming("/strong", {
    "no acr": {},
    "acr that is a wildcard": { acr: "*" },
    "acr that ends with a wildcard": { acr: "mf*" },
    "acr that is a beginning of the value": { acr: "mf" },
    "acr that begins with the value": { acr: "mfa2" },
    "acr that is a path below the value": { acr: "mfa/weak" },
    "acr in another case": { acr: "MFA" },
    "acr with a blank": { acr: "mfa " },
    "acr with both values": { acr: "phr mfa" },
    "acr with a letter that looks the same": { acr: "mf\u0430" },
    "acr with a quotation mark": { acr: 'x", acr_values="mfa' },
    "acr that is empty": { acr: "" },
    "acr as a list": { claims: { acr: ["mfa"] } },
    "acr as an object": { claims: { acr: { mfa: true } } },
    "acr as a number": { claims: { acr: 1 } },
    "acr null": { claims: { acr: null } },
    "acr that is an order of levels": { acr: "9" },
    "amr instead of acr": { amr: ["mfa", "phr", "hwk"] },
    "amr as a text": { claims: { amr: "mfa" } },
    "acr below another claim": { claims: { claims: { acr: "mfa" }, act: { acr: "mfa" }, cnf_acr: "mfa" } },
    "acr_values and acrs instead of acr": { claims: { acr_values: "mfa", acrs: ["mfa"] } },
    "acr in the header": { header: { acr: "mfa" } },
    "acr as a scope": { scopes: ["pay", "mfa", "acr:mfa"] }
  }),
  ...claiming("/recent", {
    "no auth_time": {},
    "auth_time one second over the limit": { authenticatedAgo: "306 seconds" },
    "auth_time of the future": { authenticatedAgo: Duration.seconds(-6) },
    "auth_time of the far future": { claims: { auth_time: 8.64e12 } },
    "auth_time beyond all dates": { claims: { auth_time: 1e300 } },
    "auth_time in milliseconds": { claims: { auth_time: now * 1000 } },
    "auth_time as a text": { claims: { auth_time: String(now) } },
    "auth_time as a date": { claims: { auth_time: "1970-01-02T00:00:00Z" } },
    "auth_time that is negative": { claims: { auth_time: -1 } },
    "auth_time 0": { claims: { auth_time: 0 } },
    "auth_time as a list": { claims: { auth_time: [now] } },
    "auth_time as an object": { claims: { auth_time: { valueOf: now } } },
    "auth_time null": { claims: { auth_time: null } },
    "auth_time true": { claims: { auth_time: true } },
    "a refreshed token: a new iat, and an old auth_time": { authenticatedAgo: "1 hour" },
    "iat, updated_at and sub_auth_time instead of auth_time": { claims: { updated_at: now, sub_auth_time: now } },
    "acr and amr instead of auth_time": { acr: "mfa", amr: ["mfa"] },
    "auth_time in the header": { header: { auth_time: now } }
  }),
  // A challenge would let the client ask for such a token again and again.
  ...claiming("/strong", { "the token of a machine, for the class": { subject: "test-client" } }, forMachine),
  ...claiming("/recent", { "the token of a machine, for the time": { subject: "test-client" } }, forMachine),
  ...(["/strong", "/recent"] as const).flatMap((path) => [
    scenario(
      `a thief who wants to learn what ${path} requires`,
      Effect.gen(function* () {
        yield* TestClock.adjust("1 day")
        const { mint } = yield* TestIssuer
        const expired = yield* mint({ ...ofUser, lifetime: "-1 hour" })
        const foreign = yield* mint({ ...ofUser, audience: "https://other.test" })
        const [header, , signature] = (yield* mint(ofUser)).split(".")
        const [, payload] = (yield* mint({ ...ofUser, acr: "mfa", authenticatedAgo: 0 })).split(".")
        for (const token of [expired, foreign, `${header}.${payload}.${signature}`]) {
          yield* assertSent(path, token, invalid)
        }
        const anonymous = yield* Arena.sendRaw(path, [])
        assert.notMatch(JSON.stringify(anonymous), /acr_values|max_age/)
        yield* assertAccepted(path)
      })
    ),
    scenario(
      `duplicate claims for ${path}`,
      Effect.gen(function* () {
        yield* TestClock.adjust("1 day")
        const { mint, mintRaw } = yield* TestIssuer
        const [header = "", payload = ""] = (yield* mint({ ...ofUser, acr: "pwd", authenticatedAgo: "1 hour" })).split(
          "."
        )
        const text = (segment: string) => Buffer.from(segment, "base64url").toString()
        const twice = text(payload).replace(/\}$/, `,"acr":"mfa","auth_time":${now}}`)
        yield* assertSent(path, yield* mintRaw({ header: text(header), payload: twice }), invalid)
        yield* assertAccepted(path)
      })
    ),
    scenario(
      `a weak token beside a strong one, for ${path}`,
      Effect.gen(function* () {
        yield* TestClock.adjust("1 day")
        const { mint } = yield* TestIssuer
        const weak = yield* mint({ ...ofUser, acr: "pwd", authenticatedAgo: "1 hour" })
        const strong = yield* mint({ ...ofUser, acr: "mfa", authenticatedAgo: 0 })
        for (const lines of [
          [`Authorization: Bearer ${strong}`, `Authorization: Bearer ${weak}`],
          [`Authorization: Bearer ${weak}`, `Authorization: Bearer ${strong}`]
        ]) {
          const response = yield* Arena.sendRaw(path, lines)
          assert.deepStrictEqual(
            [response.status, values(response, "www-authenticate")],
            [malformed[0], [malformed[1]]]
          )
        }
        yield* assertAccepted(path)
      })
    )
  ]),
  scenario(
    "a cached token that crosses the limit",
    Effect.gen(function* () {
      const { mint } = yield* TestIssuer
      const token = yield* mint({ ...ofUser, authenticatedAgo: 0, lifetime: "1 hour" })
      const status = Effect.map(Arena.sendRaw("/recent", [`Authorization: Bearer ${token}`]), ({ status }) => status)
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* status, 200)
      yield* TestClock.adjust("305 seconds")
      assert.strictEqual(yield* status, 200)
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 3; i++) yield* assertSent("/recent", token, stepUp("/recent"))
      yield* assertAccepted("/recent")
    })
  )
]

/** Builds the layer inside of the test, so that server and issuer use its `TestClock`. */
export const run = ({ run }: Scenario) => Effect.provide(run, Layer.fresh(layer))
