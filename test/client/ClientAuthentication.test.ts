// How a client proves who it is: what each credential puts into a token request.
import { NodeServices } from "@effect/platform-node"
import { assert, describe } from "@effect/vitest"
import { Effect, Exit, Fiber, FileSystem, Logger, Path, Redacted } from "effect"
import { Headers, HttpClient } from "effect/http"
import { ClientAuthentication, ClientCredentials, type ClientToken } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { testWithIssuer as test } from "./support.ts"
import { until } from "../support/settle.ts"

const issuer = "https://issuer.test"
const clientId = "worker:1"
const secretText = "a:b+c %é/&="
const keys = await Jose.generateKeyPair("ES256")
const jwk = { ...(await Jose.exportJWK(keys.publicKey)), alg: "ES256" }
const clients = [
  { clientId, clientSecret: secretText },
  { clientId: "jwt", jwk }
]

/** An assertion of the platform, which names the client as its subject. */
const assertionOf = (jti: string) =>
  new Jose.SignJWT({ jti })
    .setProtectedHeader({ alg: "ES256" })
    .setIssuer("jwt")
    .setSubject("jwt")
    .setAudience(issuer)
    .setExpirationTime(600)
    .sign(keys.privateKey)

const forms = Effect.map(
  TestIssuer.use(({ requests }) => requests),
  (requests) => requests.flatMap(({ endpoint, parameters = {} }) => (endpoint === "token" ? [parameters] : []))
)

/** Gets a token, and returns the headers of the last token request. */
const headersWith = (authentication: ClientAuthentication.ClientAuthentication, id = clientId) =>
  Effect.gen(function* () {
    const seen: Array<Headers.Headers> = []
    const http = HttpClient.mapRequest(yield* HttpClient.HttpClient, (request) => {
      seen.push(request.headers)
      return request
    })
    const source = yield* ClientCredentials.make({ issuer, clientId: id, authentication }).pipe(
      Effect.provideService(HttpClient.HttpClient, http)
    )
    yield* source.get()
    return seen.at(-1) ?? Headers.empty
  })

const idOf = ({ value }: ClientToken) => Jose.decodeJwt(Redacted.value(value)).jti

describe("a secret", () => {
  test(
    "is sent in the header, encoded as in a form, or in the body",
    () =>
      Effect.gen(function* () {
        const secret = Redacted.make(secretText)
        const headers = yield* headersWith(ClientAuthentication.secret(secret))
        const encoded = atob((headers["authorization"] ?? "").replace("Basic ", ""))
        assert.strictEqual(encoded, "worker%3A1:a%3Ab%2Bc+%25%C3%A9%2F%26%3D")
        const others = yield* headersWith(ClientAuthentication.secret(secret, "client_secret_post"))
        assert.notProperty(others, "authorization")
        const [basic, post] = yield* forms
        assert.notProperty(basic, "client_secret")
        assert.deepInclude(post, { client_id: clientId, client_secret: secretText })
      }),
    { clients }
  )

  test(
    "of a file is read for each request, without its line break",
    () =>
      Effect.gen(function* () {
        const texts = ["wrong\n", `${secretText}\n`]
        const read = Effect.sync(() => Redacted.make(texts.shift() ?? ""))
        const { get } = yield* ClientCredentials.make({
          issuer,
          clientId,
          authentication: ClientAuthentication.secretFrom(read)
        })
        assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenRefused", error: "invalid_client" })
        yield* TestClock.adjust("30 seconds")
        yield* get()
      }),
    { clients }
  )
})

describe("a private key", () => {
  test(
    "signs a new assertion for each attempt, for the issuer, valid for 60 seconds",
    () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("365 days")
        const algorithm = { name: "ECDSA", namedCurve: "P-256" }
        const dpop = yield* Effect.promise(() => crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]))
        const { get } = yield* ClientCredentials.make({
          issuer,
          clientId: "jwt",
          authentication: ClientAuthentication.privateKeyJwt(keys.privateKey, { kid: "2026-11" }),
          dpop
        })
        yield* get()
        const assertions = (yield* forms).map(({ client_assertion = "", client_assertion_type: type }) => {
          assert.strictEqual(type, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
          assert.strictEqual(Jose.decodeProtectedHeader(client_assertion).kid, "2026-11")
          return Jose.decodeJwt(client_assertion)
        })
        const now = 365 * 86_400
        assert.strictEqual(assertions.length, 2)
        assert.strictEqual(new Set(assertions.map(({ jti }) => jti)).size, 2)
        for (const claims of assertions) {
          assert.deepInclude(claims, { iss: "jwt", sub: "jwt", aud: issuer, iat: now, exp: now + 60 })
        }
      }),
    { clients, dpopNonces: true }
  )
})

describe("an assertion of the platform", () => {
  test(
    "is read again for each exchange, so the file may be rotated",
    () =>
      Effect.gen(function* () {
        const files = yield* FileSystem.FileSystem
        const path = yield* Path.Path
        // Kubernetes replaces a link to the directory of the token.
        const directory = yield* files.makeTempDirectoryScoped()
        const write = Effect.fnUntraced(function* (version: string) {
          const assertion = yield* Effect.promise(() => assertionOf(version))
          yield* files.makeDirectory(path.join(directory, version))
          yield* files.writeFileString(path.join(directory, version, "token"), `${assertion}\n`)
          yield* files.symlink(path.join(directory, version), path.join(directory, `${version}.link`))
          yield* files.rename(path.join(directory, `${version}.link`), path.join(directory, "current"))
          return assertion
        })
        const first = yield* write("v1")
        const { get } = yield* ClientCredentials.make({
          issuer,
          clientId: "jwt",
          authentication: ClientAuthentication.assertion(
            Effect.map(files.readFileString(path.join(directory, "current", "token")), Redacted.make)
          )
        })
        const one = yield* get()
        const second = yield* write("v2")
        assert.strictEqual(idOf(yield* get()), idOf(one))
        yield* TestClock.adjust("571 seconds")
        assert.notStrictEqual(idOf(yield* get()), idOf(one))
        assert.deepStrictEqual(
          (yield* forms).map(({ client_assertion }) => client_assertion),
          [first, second]
        )
        assert.deepInclude((yield* forms)[0], {
          client_id: "jwt",
          client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        })
        yield* files.remove(path.join(directory, "current"))
        yield* TestClock.adjust("571 seconds")
        yield* get()
        yield* TestClock.adjust("29 seconds")
        assert.deepInclude(yield* Effect.flip(get()), { _tag: "TokenUnavailable", reason: "Credential" })
      }).pipe(Effect.provide(NodeServices.layer)),
    { clients }
  )

  test("has the type of its options", () =>
    Effect.gen(function* () {
      const type = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"
      const assertion = Effect.map(
        Effect.promise(() => assertionOf("1")),
        Redacted.make
      )
      yield* Effect.ignore(headersWith(ClientAuthentication.assertion(assertion, { type }), "jwt"))
      assert.strictEqual((yield* forms)[0]?.["client_assertion_type"], type)
    }))

  test("that cannot be read fails the request and is logged, without the error of the effect", () =>
    Effect.gen(function* () {
      for (const failing of [Effect.fail("the secret path"), Effect.die("the secret path")]) {
        const logged: Array<unknown> = []
        const { get } = yield* ClientCredentials.make({
          issuer,
          clientId,
          authentication: ClientAuthentication.assertion(failing)
        })
        const exit = yield* Effect.exit(get()).pipe(
          Effect.provide(Logger.layer([Logger.make(({ cause, message }) => logged.push(message, cause))]))
        )
        assert.isTrue(Exit.isFailure(exit))
        assert.include(JSON.stringify(exit), "Credential")
        assert.include(JSON.stringify(logged), "The credential of the client could not be read.")
        assert.notInclude(JSON.stringify([logged, exit]), "the secret path")
      }
      assert.deepStrictEqual(yield* forms, [])
    }))

  test("is interrupted at the time limit of the request", () =>
    Effect.gen(function* () {
      const events: Array<string> = []
      const never = Effect.sync(() => events.push("start")).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => events.push("interrupt")))
      )
      const { get } = yield* ClientCredentials.make({
        issuer,
        clientId,
        authentication: ClientAuthentication.assertion(never),
        timeout: "3 seconds"
      })
      const fiber = yield* Effect.forkChild(Effect.flip(get()))
      yield* until(
        Effect.sync(() => events.length),
        (length) => length === 1
      )
      yield* TestClock.adjust("3 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { _tag: "TokenUnavailable", reason: "Timeout" })
      assert.deepStrictEqual(events, ["start", "interrupt"])
    }))
})

describe("the certificate of the connection", () => {
  const aliases = { token_endpoint: `${issuer}/token`, revocation_endpoint: `${issuer}/revoke` }

  test("needs no secret in the request, and uses the token endpoint for certificates", () =>
    Effect.gen(function* () {
      const { respond } = yield* TestIssuer
      const metadata = yield* TestIssuer.use(({ metadata }) => metadata)
      // Only the alias is an address of this issuer.
      yield* respond("discovery", {
        body: JSON.stringify({
          ...metadata,
          token_endpoint: "https://elsewhere.test/token",
          mtls_endpoint_aliases: aliases
        })
      })
      const headers = yield* headersWith(ClientAuthentication.tls)
      assert.notProperty(headers, "authorization")
      assert.deepStrictEqual(yield* forms, [{ grant_type: "client_credentials", client_id: clientId }])
      // Another credential does not use the alias.
      const error = yield* Effect.flip(headersWith(ClientAuthentication.none))
      assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "Unreachable" })
    }))

  for (const token_endpoint of ["http://issuer.test/token", "https://127.0.0.1/token", "https://169.254.169.254/", 1]) {
    test(`is not sent to an alias that must not be requested: ${token_endpoint}`, () =>
      Effect.gen(function* () {
        const { requests, respond } = yield* TestIssuer
        const metadata = yield* TestIssuer.use(({ metadata }) => metadata)
        const body = JSON.stringify({ ...metadata, mtls_endpoint_aliases: { token_endpoint } })
        yield* respond("discovery", { body })
        const error = yield* Effect.flip(headersWith(ClientAuthentication.tls))
        assert.deepInclude(error, { _tag: "TokenUnavailable", reason: "BadResponse" })
        assert.strictEqual((yield* requests).length, 1)
      }))
  }
})

describe("no credential", () => {
  test("is the identifier only", () =>
    Effect.gen(function* () {
      assert.notProperty(yield* headersWith(ClientAuthentication.none), "authorization")
      assert.deepStrictEqual(yield* forms, [{ grant_type: "client_credentials", client_id: clientId }])
    }))
})
