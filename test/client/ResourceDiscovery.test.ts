// Finding the authorization server of an API: which documents are read, and which must not be used.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { HttpClient } from "effect/http"
import { type ClientError, ResourceDiscovery } from "effect-oauth2/client"
import { TestClock } from "effect/testing"
import {
  type Answer,
  api,
  atIssuer,
  atOrigin,
  atPath,
  idp,
  network,
  resource,
  resourceMetadata,
  serverMetadata
} from "./discoveringClients.ts"

const documents = { [atPath]: resourceMetadata, [atIssuer]: serverMetadata }

const discover = (answers: Readonly<Record<string, Answer>>, options: Partial<ResourceDiscovery.Options> = {}) => {
  const { layer, paths } = network(answers)
  return Effect.result(ResourceDiscovery.discover({ resource, ...options })).pipe(
    Effect.map((result) => ({
      paths: paths(),
      found: result._tag === "Success" ? result.success : undefined,
      failure: result._tag === "Failure" ? result.failure : undefined
    })),
    Effect.provide(layer)
  )
}

const refuses = (
  name: string,
  reason: ClientError.DiscoveryFailed["reason"],
  answers: Readonly<Record<string, Answer>>,
  options: Partial<ResourceDiscovery.Options> = {}
) =>
  it.effect(name, () =>
    Effect.gen(function* () {
      const { failure, paths } = yield* discover(answers, options)
      assert.deepInclude(failure, { _tag: "DiscoveryFailed", resource: options.resource ?? resource, reason })
      assert.isFalse(paths.some((path) => /authorize|token|register|internal/.test(path)))
    })
  )

describe("discovery", () => {
  it.effect("reads the metadata at the well-known URL with the path of the API", () =>
    Effect.gen(function* () {
      const { found, paths } = yield* discover(documents)
      assert.deepStrictEqual(found, {
        resource,
        scopes: ["read", "write"],
        dpop: false,
        metadata: Object.assign(Object.create(null), resourceMetadata) as object,
        server: { issuer: idp, metadata: Object.assign(Object.create(null), serverMetadata) as object }
      } as never)
      assert.strictEqual(paths[0], `GET ${atPath}`)
      assert.notInclude(paths, `GET ${atOrigin}`)
    })
  )

  it.effect("falls back to the well-known URL of the origin, whose document may name the origin", () =>
    Effect.gen(function* () {
      for (const identifier of [api, `${api}/`, resource]) {
        const { found, paths } = yield* discover({
          [atOrigin]: { ...resourceMetadata, resource: identifier },
          [atIssuer]: serverMetadata
        })
        assert.strictEqual(found?.resource, identifier)
        assert.deepStrictEqual(paths.slice(0, 2), [`GET ${atPath}`, `GET ${atOrigin}`])
      }
    })
  )

  it.effect("reads only the document that the challenge names, and takes the scopes of the challenge", () =>
    Effect.gen(function* () {
      const url = `${api}/metadata.json`
      for (const scheme of ["Bearer", "DPoP"]) {
        const { found, paths } = yield* discover(
          { ...documents, [url]: resourceMetadata },
          { challenge: `Basic realm="x", ${scheme} scope="read admin", resource_metadata="${url}"` }
        )
        assert.deepStrictEqual(found?.scopes, ["read", "admin"])
        assert.strictEqual(found?.dpop, scheme === "DPoP")
        assert.strictEqual(paths[0], `GET ${url}`)
        assert.notInclude(paths, `GET ${atPath}`)
      }
      const { failure } = yield* discover(documents, { challenge: `Bearer resource_metadata="${url}"` })
      assert.deepInclude(failure, { reason: "NotFound" })
    })
  )

  it.effect("says that the API wants bound tokens if its metadata requires them", () =>
    Effect.gen(function* () {
      const { found } = yield* discover({
        ...documents,
        [atPath]: { ...resourceMetadata, dpop_bound_access_tokens_required: true }
      })
      assert.isTrue(found?.dpop)
    })
  )

  it.effect("asks for no scopes if neither the challenge nor the metadata names scopes", () =>
    Effect.gen(function* () {
      const { found } = yield* discover({ ...documents, [atPath]: { resource, authorization_servers: [idp] } })
      assert.deepStrictEqual(found?.scopes, [])
    })
  )

  it.effect("chooses the first issuer, or the issuer that the program selects", () =>
    Effect.gen(function* () {
      const other = "https://other.example.com"
      const answers = {
        ...documents,
        [atPath]: { ...resourceMetadata, authorization_servers: [other, idp] },
        [`${other}/.well-known/oauth-authorization-server`]: { ...serverMetadata, issuer: other }
      }
      assert.strictEqual((yield* discover(answers)).found?.server.issuer, other)
      const select = (issuers: ReadonlyArray<string>) => issuers.find((issuer) => issuer === idp)
      assert.strictEqual((yield* discover(answers, { select })).found?.server.issuer, idp)
      for (const none of [() => undefined, () => "https://evil.example.com"]) {
        const { failure } = yield* discover(answers, { select: none })
        assert.deepInclude(failure, { reason: "NoAuthorizationServer" })
      }
    })
  )

  refuses("refuses metadata of another resource", "ResourceMismatch", {
    ...documents,
    [atPath]: { ...resourceMetadata, resource: "https://evil.example.com/mcp" }
  })
  refuses("compares the resource code point by code point", "ResourceMismatch", {
    ...documents,
    [atPath]: { ...resourceMetadata, resource: `${resource}/` }
  })
  refuses("refuses the origin in a document that is not the document of the origin", "ResourceMismatch", {
    ...documents,
    [atPath]: { ...resourceMetadata, resource: api }
  })
  refuses("refuses metadata without an authorization server", "NoAuthorizationServer", {
    ...documents,
    [atPath]: { resource }
  })
  refuses("refuses an authorization server whose metadata names another issuer", "IssuerMismatch", {
    ...documents,
    [atIssuer]: { ...serverMetadata, issuer: "https://attacker.example.com" }
  })
  refuses("refuses an issuer without https", "BadResponse", {
    ...documents,
    [atPath]: { ...resourceMetadata, authorization_servers: ["http://idp.example.com"] }
  })
  refuses("refuses an issuer on this machine for an API on the network", "BadResponse", {
    [atPath]: { ...resourceMetadata, authorization_servers: ["http://127.0.0.1:8080"] },
    "http://127.0.0.1:8080/.well-known/oauth-authorization-server": {
      ...serverMetadata,
      issuer: "http://127.0.0.1:8080"
    }
  })
  for (const internal of [
    "http://localhost/internal",
    "https://169.254.169.254/internal",
    "http://api.example.com/internal"
  ]) {
    refuses(`requests no metadata at ${internal}`, "BadResponse", documents, {
      challenge: `Bearer resource_metadata="${internal}"`
    })
  }
  refuses("follows no redirect", "NotFound", {
    ...documents,
    [atPath]: () => new Response("", { status: 302, headers: { location: `${api}/internal` } })
  })
  refuses("refuses a document of more than 64 KiB", "NotFound", {
    ...documents,
    [atPath]: { ...resourceMetadata, padding: "x".repeat(65_536) }
  })
  refuses("fails if the API has no metadata", "NotFound", { [atIssuer]: serverMetadata })
  refuses("does not go on to the origin if the server of the metadata is overloaded", "BadResponse", {
    ...documents,
    [atPath]: () => new Response("", { status: 503 }),
    [atOrigin]: resourceMetadata
  })

  it.effect("fails with Timeout after the time limit", () =>
    Effect.gen(function* () {
      const never = HttpClient.make(() => Effect.never)
      const fiber = yield* Effect.forkChild(
        Effect.flip(ResourceDiscovery.discover({ resource })).pipe(Effect.provideService(HttpClient.HttpClient, never))
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepInclude(yield* Fiber.join(fiber), { reason: "Timeout" })
    })
  )

  for (const invalid of ["http://api.example.com/mcp", "https://user@api.example.com/mcp", `${resource}#part`]) {
    it.effect(`refuses the option resource ${invalid}`, () =>
      Effect.gen(function* () {
        const { failure, paths } = yield* discover(documents, { resource: invalid })
        assert.deepInclude(failure, { _tag: "ConfigurationError", setting: "resource" })
        assert.isEmpty(paths)
      })
    )
  }
})

describe("originFallback", () => {
  const metadata = `${api}/.well-known/oauth-authorization-server`
  const originFallback = true

  it.effect("takes the origin of an API without metadata as the authorization server", () =>
    Effect.gen(function* () {
      const { found } = yield* discover({ [metadata]: { ...serverMetadata, issuer: api } }, { originFallback })
      assert.deepInclude(found, { resource, scopes: [] })
      assert.strictEqual(found?.server.issuer, api)
      assert.strictEqual(found?.server.metadata["token_endpoint"], `${idp}/token`)
    })
  )

  it.effect("uses the default endpoints if the origin has no metadata either", () =>
    Effect.gen(function* () {
      const { found } = yield* discover({}, { originFallback })
      assert.deepInclude(found?.server.metadata, {
        issuer: api,
        authorization_endpoint: `${api}/authorize`,
        token_endpoint: `${api}/token`,
        registration_endpoint: `${api}/register`
      })
    })
  )

  it.effect("is not used if the API names its metadata, or is overloaded", () =>
    Effect.gen(function* () {
      const named = yield* discover({}, { originFallback, challenge: `Bearer resource_metadata="${atPath}"` })
      assert.deepInclude(named.failure, { reason: "NotFound" })
      const overloaded = yield* discover({ [atPath]: () => new Response("", { status: 503 }) }, { originFallback })
      assert.deepInclude(overloaded.failure, { reason: "BadResponse" })
    })
  )

  it.effect("refuses an issuer of another origin", () =>
    Effect.gen(function* () {
      const { failure } = yield* discover({ [metadata]: serverMetadata }, { originFallback })
      assert.deepInclude(failure, { reason: "IssuerMismatch" })
    })
  )
})
