// Provokes each message for operators, and writes docs/troubleshooting.md if UPDATE_DOCS is set.
import { assert, describe, it } from "@effect/vitest"
import { Cause as EffectCause, Effect, Layer, Logger, Metric, Option, Redacted, References } from "effect"
import { HttpMiddleware, HttpRouter, HttpServerRequest, HttpServerRespondable, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { Dpop, JwtVerifier, KeySet, MutualTls, OAuth2 } from "effect-oauth2"
import { makeDpopClient, TestIssuer } from "effect-oauth2/testing"
import { readFileSync, writeFileSync } from "node:fs"
import { authorizationServer } from "../support/authorizationServer.ts"
import { countsByOutcome } from "../support/countsByOutcome.ts"
import { causes, type Cause } from "../support/troubleshooting.ts"

const page = new URL("../../docs/troubleshooting.md", import.meta.url)
const issuer = "https://issuer.test"
const audience = "https://api.test"
const { ec, rsa, secretKey } = await Effect.runPromise(
  Effect.all({
    rsa: TestIssuer.makeKey("rsa-1"),
    ec: TestIssuer.makeKey("ec-1", "ES256"),
    secretKey: TestIssuer.makeSecretKey("secret-1", "a-shared-secret-of-32-characters")
  })
)
const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: {} })
const Route = HttpRouter.add("GET", "/", HttpServerResponse.empty()).pipe(auth.require())

const verifierOf = ({ allowed, issuers, options = {}, secret }: Cause) =>
  issuers !== undefined
    ? JwtVerifier.layerIssuers([
        { issuer: issuers[0], audience },
        ...issuers.slice(1).map((name) => ({ issuer: name, audience }))
      ])
    : allowed !== undefined
      ? JwtVerifier.layerAllowedIssuers({ audience, allow: (name) => Effect.succeed(name === allowed), ...options })
      : secret === undefined
        ? JwtVerifier.layerKeySet({ issuer, audience, ...options }).pipe(
            Layer.provide(KeySet.layerDiscovery({ issuer }))
          )
        : JwtVerifier.layerSecret({ issuer, audience, algorithm: "HS256", secret: Redacted.make(secret) })

const requestWith = (
  { several }: Pick<Cause, "several">,
  authorization: string,
  more: Readonly<Record<string, string>> = {}
) => {
  const request = new Request("http://localhost/", { headers: { authorization, ...more } })
  if (several !== true) {
    return HttpServerRequest.fromWeb(request).modify({ remoteAddress: Option.some("10.0.0.1") })
  }
  // Only Node's requests show that there are several headers. Node's `headers` has the first of them.
  const rawHeaders = ["Authorization", authorization, "Authorization", authorization]
  return HttpServerRequest.fromWeb(
    Object.defineProperties(request, { rawHeaders: { value: rawHeaders }, headers: { value: { authorization } } })
  )
}

const signedWith = ({ otherKey, secret }: Cause) =>
  otherKey === true ? { key: ec } : secret !== undefined ? { key: secretKey } : {}

/** Sends two requests. Returns the statuses, and the messages at Warn or above with their annotations. */
const provoke = (cause: Cause) =>
  Effect.suspend(() => {
    const messages: Array<string> = []
    const logger = Logger.make(({ fiber, logLevel, message }) => {
      const { issuer: _, ...annotations } = fiber.getRef(References.CurrentLogAnnotations)
      const pairs = Object.entries(annotations).map(([name, value]) => ` ${name}=${String(value)}`)
      if (logLevel === "Warn" || logLevel === "Error") messages.push(`${String(message)}${pairs.join("")}`)
    })
    return Effect.provide(sendTwice(cause), Logger.layer([logger])).pipe(
      Effect.map((result) => ({ messages, ...result }))
    )
  })

const sendTwice = (cause: Cause) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(1_000_000)
    const { mint, respond } = yield* TestIssuer
    for (const [endpoint, answer] of cause.answers ?? []) yield* respond(endpoint, answer)
    const bound = OAuth2.bearer(
      "Bound",
      cause.mutualTls === undefined
        ? { dpop: Dpop.make(cause.dpop ?? {}) }
        : { mutualTls: MutualTls.make(cause.mutualTls) }
    )
    const isBearer = cause.dpop === undefined
    const route = HttpRouter.add("GET", "/", HttpServerResponse.empty())
    const guarded =
      isBearer && cause.mutualTls === undefined
        ? route.pipe(auth.require(...(cause.requires ?? [])), Layer.provide(auth.layer(verifierOf(cause))))
        : route.pipe(bound.require(), Layer.provide(bound.layer(verifierOf(cause))))
    const app = yield* HttpRouter.toHttpEffect(guarded)
    const client = yield* makeDpopClient()
    const statuses: Array<number> = []
    for (const subject of ["alice", "bob"]) {
      const token = cause.token ?? (yield* mint({ subject, scopes: ["read"], ...cause.mint, ...signedWith(cause) }))
      const response = yield* app.pipe(
        Effect.catch((error) => HttpServerRespondable.toResponse(error)),
        Effect.provideService(
          HttpServerRequest.HttpServerRequest,
          isBearer
            ? requestWith(cause, `Bearer ${token}`)
            : requestWith(cause, `DPoP ${token}`, {
                dpop: yield* client.proof({ url: "https://other.test/", token })
              })
        )
      )
      statuses.push(response.status)
    }
    return { statuses, counts: yield* countsByOutcome }
  }).pipe(
    Effect.provideService(Metric.MetricRegistry, new Map()),
    Effect.scoped,
    Effect.provide(TestIssuer.layer({ issuer, audience, keys: [rsa] }))
  )

const provoked = new Map<string, string>()

describe("each cause of a refusal", () => {
  for (const cause of causes) {
    it.effect(`responds with ${cause.status} and is logged once: ${cause.symptom}`, () =>
      Effect.gen(function* () {
        const { counts, messages, statuses } = yield* provoke(cause)
        assert.deepStrictEqual(statuses, [cause.status, cause.status])
        assert.lengthOf(messages, 1, messages.join("\n"))
        if (cause.outcome !== undefined) assert.strictEqual(counts[cause.outcome], 2)
        provoked.set(cause.symptom, messages[0] ?? "")
      })
    )
  }
})

it.effect("Effect's request logger prints the reason of a refusal at Info", () =>
  Effect.gen(function* () {
    const messages: Array<string> = []
    const logger = Logger.make(({ cause, logLevel, message }) =>
      messages.push(`${logLevel} ${String(message)} ${EffectCause.pretty(cause)}`)
    )
    const { mint } = yield* TestIssuer
    const token = yield* mint({ without: ["sub"] })
    const app = yield* HttpRouter.toHttpEffect(
      Route.pipe(Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience }))))
    )
    yield* HttpMiddleware.logger(app).pipe(
      Effect.exit,
      Effect.provideService(HttpServerRequest.HttpServerRequest, requestWith({}, `Bearer ${token}`)),
      Effect.provide(Logger.layer([logger]))
    )
    const [info = "", ...others] = messages.filter((message) => message.startsWith("Info"))
    assert.include(info, "The access token was refused: Claim (sub)")
    assert.notInclude(info, token)
    assert.deepStrictEqual(others, [])
  }).pipe(Effect.scoped, Effect.provide(TestIssuer.layer({ issuer, audience, keys: [rsa] })))
)

describe("the list of causes", () => {
  it("names each cause once", () => {
    assert.strictEqual(new Set(causes.map(({ symptom }) => symptom)).size, causes.length)
  })

  it("equals docs/troubleshooting.md", () => {
    const section = (status: number) =>
      causes
        .filter((cause) => cause.status === status)
        .flatMap(({ fix, symptom }) => [
          `### ${symptom}`,
          "",
          "```text",
          provoked.get(symptom) ?? "NOT PROVOKED",
          "```",
          "",
          fix,
          ""
        ])
    const text = [
      "# Troubleshooting",
      "",
      "Clients get no reason for a refusal. The log of the server names the cause and the option, at the level `Warn`, once for each cause. Search this page for the words of the message.",
      "",
      "The texts below contain the issuer `https://issuer.test` and the audience `https://api.test`. Each message is provoked by a test, which also writes this page. To update the page, run `UPDATE_DOCS=1 npx vitest run test/promises/troubleshooting.test.ts`.",
      "",
      "Later refusals for the same cause are logged at `Debug`. Effect's request logger prints the reason of each refusal at `Info`, such as `The access token was refused: Claim (aud)`. The counter `oauth2_token_verifications_total` has the number of refusals by `outcome`.",
      "",
      "This program shows the message of every refusal while you search for a cause:",
      "",
      "```ts",
      'import { Layer, Logger, References } from "effect"',
      "",
      "// Provide this layer to your app last.",
      "export const EveryRefusal = Layer.mergeAll(",
      "  Logger.layer([Logger.consolePretty()]),",
      '  Layer.succeed(References.MinimumLogLevel, "Debug")',
      ")",
      "```",
      "",
      "[Messages](reference/messages.md) lists all messages of the library, also those of mistakes in a program.",
      "",
      "## The response is 401",
      "",
      ...section(401),
      "## The response is 503",
      "",
      "The keys of the issuer could not be loaded, so no token can be verified.",
      "",
      ...section(503)
    ]
      .join("\n")
      .replace(/\n+$/, "\n")
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(page, text)
    assert.strictEqual(readFileSync(page, "utf8"), text)
  })
})
