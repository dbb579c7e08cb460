/**
 * Only a token that the scheme verified for the same request authorizes it. Mistakes that the types would show fail
 * closed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { OAuth2, Requirement, TokenVerifier } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { verified } from "../support/TestVerifier.ts"
import {
  adapters,
  type App,
  auth,
  cast,
  type Endpoint,
  type Handler,
  other,
  own,
  reference,
  secret,
  secretless,
  serveWithLog,
  stubs,
  verifier
} from "../support/untypedApps.ts"

/** A different scheme with the same name. */
const twin = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })

const ofTwin: Handler = cast(Effect.as(twin.token, HttpServerResponse.text("an answer")))

for (const [name, adapter] of Object.entries(adapters)) {
  const endpoints: ReadonlyArray<Endpoint> = [
    { path: "/a", requirement: auth.require("a"), handler: secret },
    { path: "/b", requirement: auth.require("b"), handler: secret },
    { path: "/optional", requirement: auth.optional("a"), handler: secret },
    { path: "/other", requirement: other.require("a"), handler: secret },
    { path: "/open", handler: secret },
    { path: "/own", requirement: auth.require(), handler: own },
    { path: "/own/optional", requirement: auth.optional(), handler: own },
    { path: "/own/other", requirement: other.require(), handler: own },
    { path: "/own/open", handler: own }
  ]

  describe(`${name}: a stub`, () => {
    for (const [what, layer] of Object.entries(stubs)) {
      for (const place of adapter.places) {
        it.effect(`never authorizes a request: ${what}, provided to ${place}`, () =>
          Effect.gen(function* () {
            const { send } = yield* serveWithLog(adapter.make(endpoints, { place, layer }))
            // A stub that replaces the genuine service may cause a refusal, but never an acceptance.
            const assertRefused = (status: number) => assert.include([401, 500], status)
            assertRefused((yield* send("/a")).status)
            assertRefused((yield* send("/a", "none")).status)
            assertRefused((yield* send("/a", "b")).status)
            assertRefused((yield* send("/a", "bad")).status)
            assertRefused((yield* send("/own")).status)
            assertRefused((yield* send("/own", "bad")).status)
            for (const path of ["/b", "/optional", "/other", "/open", "/own/optional", "/own/other", "/own/open"]) {
              for (const token of [undefined, "none", "a", "b", "ab"]) assertRefused((yield* send(path, token)).status)
            }
            for (const [path, answer] of [
              ["/a", "the secret of a"],
              ["/own", "the token of a"]
            ] as const) {
              const { body, status } = yield* send(path, "a")
              if (status === 200) assert.strictEqual(body, answer)
              else
                assert.include(
                  ["a grant", "a proof that looks like one", "an authentication that looks like one"],
                  what
                )
            }
          })
        )
      }
    }
  })

  describe(`${name}: a handler that relies on an unproven scope or token`, () => {
    const anyOf = cast(
      Effect.map(auth.grantedAny("a", "b"), (scope) => HttpServerResponse.text(`the secret of ${scope}`))
    )
    const noRequirement = "no requirement of the scheme guards this route"
    const otherScopes = "its requirements do not include the scope"

    for (const [title, requirement, handler, token, scopes, why] of [
      ["without a requirement", undefined, secret, "ab", `"a"`, noRequirement],
      ["if the requirement has another scope", auth.require("b"), secret, "ab", `"a"`, otherScopes],
      ["if the requirement has no scope", auth.require(), secret, "ab", `"a"`, otherScopes],
      ["if the requirement is of another scheme", other.require("a"), secret, "ab", `"a"`, noRequirement],
      [
        "if the token is optional, even if the request has a token",
        auth.optional("a"),
        secret,
        "ab",
        `"a"`,
        noRequirement
      ],
      [
        "if any of two scopes is required, and the token has the other scope",
        auth.require(Requirement.any("a", "b")),
        secret,
        "b",
        `"a"`,
        otherScopes
      ],
      ["if it relies on any of two scopes without a requirement", undefined, anyOf, "ab", `"a", "b"`, noRequirement],
      [
        "if it relies on any of two scopes, and the requirement has neither",
        auth.require(),
        anyOf,
        "ab",
        `"a", "b"`,
        otherScopes
      ],
      ["if it relies on the token without a requirement", undefined, own, "ab", "a token", noRequirement],
      [
        "if it relies on the token, and the requirement is of another scheme",
        other.require("a"),
        own,
        "ab",
        "a token",
        noRequirement
      ],
      [
        "if it relies on the token, and the requirement is of another scheme with the same name",
        auth.require(),
        ofTwin,
        "ab",
        "a token",
        noRequirement
      ],
      ["if it relies on the token, and the token is optional", auth.optional("a"), own, "ab", "a token", noRequirement],
      [
        "if it relies on the token, and another scheme of OAuth2.either accepted the request",
        OAuth2.either(other.require("a"), auth.require("a")),
        own,
        "a",
        "a token",
        noRequirement
      ]
    ] as const) {
      it.effect(`responds with 500 ${title}`, () =>
        Effect.gen(function* () {
          const { log, send } = yield* serveWithLog(
            adapter.make([{ path: "/", handler, ...(requirement === undefined ? {} : { requirement }) }])
          )
          const { body, status } = yield* send("/", token)
          assert.deepStrictEqual([status, body], [500, ""])
          assert.include(
            log,
            `Error A handler relies on ${scopes} of the scheme "OAuth2", which its route or endpoint has not proven: ${why}. Add a requirement of the scheme to the route or endpoint.`
          )
        })
      )
    }

    it.effect("responds with 500 if a cast promises a scope that the requirement does not have", () =>
      Effect.gen(function* () {
        const scope: string = "b"
        const { log, send } = yield* serveWithLog(
          adapter.make([{ path: "/", handler: secret, requirement: auth.require(scope as "a" | "b") }])
        )
        assert.strictEqual((yield* send("/", "ab")).status, 500)
        assert.include(log.join(), `"a" of the scheme "OAuth2"`)
      })
    )

    it.effect("responds with 500 if its proof is from another request's context", () =>
      Effect.gen(function* () {
        let saved: Context.Context<never> = Context.empty()
        const capture = Effect.map(Effect.context<never>(), (context) => {
          saved = Context.makeUnsafe(
            new Map(Array.from(context.mapUnsafe).filter(([key]) => key.startsWith("effect-oauth2/")))
          )
          return HttpServerResponse.empty()
        })
        const replay = HttpRouter.middleware((effect) => Effect.suspend(() => Effect.provideContext(effect, saved)), {
          global: true
        })
        const requirement = auth.require("a")
        const routes = adapter.make([
          { path: "/capture", handler: capture, requirement },
          { path: "/same", handler: secret, requirement },
          { path: "/b", handler: secret, requirement: auth.require("b") },
          { path: "/open", handler: secret }
        ])
        // A caching verifier returns one value to many requests, so the token alone does not identify the request.
        const ab = verified("ab", ["a", "b"])
        const caching = Layer.effect(
          TokenVerifier,
          Effect.map(TokenVerifier, ({ invalidate, verify }) => ({
            invalidate,
            verify: (token) => (Redacted.value(token) === "ab" ? Effect.succeed(ab) : verify(token))
          }))
        ).pipe(Layer.provide(verifier().layer))
        const { log, send } = yield* serveWithLog(Layer.merge(routes, replay) as App, caching)
        assert.strictEqual((yield* send("/capture", "ab")).status, 204)
        assert.isTrue(saved.mapUnsafe.has("effect-oauth2/OAuth2/OAuth2/Proof"))
        for (const token of [undefined, "bad", "none"]) assert.strictEqual((yield* send("/same", token)).status, 401)
        assert.strictEqual((yield* send("/same", "mallory")).body, "the secret of mallory")
        assert.strictEqual((yield* send("/b", "ab")).status, 500)
        assert.strictEqual((yield* send("/open", "a")).status, 500)
        assert.include(log.join(), "the proof is for another request")
      })
    )
  })

  describe(`${name}: a forged proof`, () => {
    const forgeries: Readonly<Record<string, (genuine: object, origin: object) => object>> = {
      "with the fields of a genuine proof": (genuine, origin) => ({ ...genuine, origin }),
      "with the fields and the prototype of a genuine proof": (genuine, origin) =>
        Object.assign(Object.create(Object.getPrototypeOf(genuine)), genuine, { origin })
    }
    for (const [how, forge] of Object.entries(forgeries)) {
      it.effect(`${how} does not prove a scope`, () =>
        Effect.gen(function* () {
          const key = reference("effect-oauth2/OAuth2/OAuth2/Proof")
          const granted = yield* Layer.build(auth.layerTestGranted({ subject: "forged", scopes: ["a", "b"] }))
          const genuine = Context.get(granted, key) as object
          const handler = cast(
            Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
              Effect.provideService(secret, key, forge(genuine, { request }))
            )
          )
          assert.hasAllKeys(genuine, [
            "scheme",
            "origin",
            "token",
            "scopes",
            "filled",
            "credential",
            "authentications",
            "invalidations"
          ])
          assert.hasAllKeys((genuine as { readonly origin: object }).origin, ["request"])
          const { send } = yield* serveWithLog(
            adapter.make([
              { path: "/open", handler },
              { path: "/b", handler, requirement: auth.require("b") }
            ])
          )
          assert.strictEqual((yield* send("/open", "ab")).status, 500)
          assert.strictEqual((yield* send("/b", "b")).status, 500)
        })
      )
    }
  })

  describe(`${name}: two schemes with one name`, () => {
    it.effect("an app with the layer of one scheme and a requirement of the other does not start", () =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(
          Effect.flatMap(
            serveWithLog(adapter.make([{ path: "/", handler: secretless, requirement: twin.require("a") }])),
            ({ send }) => send("/", "a")
          )
        )
        assert.match(
          String(Exit.isFailure(exit) && Cause.squash(exit.cause)),
          /TypeError: Two different schemes of one app are named "OAuth2"/
        )
      })
    )
  })

  describe(`${name}: a check`, () => {
    for (const result of [undefined, null, 0, "", "no", {}]) {
      it.effect(`refuses the token if it returns ${JSON.stringify(result)}`, () =>
        Effect.gen(function* () {
          const check = Requirement.check("odd", () => Effect.succeed(result as boolean))
          const late = Requirement.check("late", () => Effect.as(Effect.yieldNow, result as boolean))
          const { send } = yield* serveWithLog(
            adapter.make([
              { path: "/alone", handler: secretless, requirement: auth.require(check) },
              { path: "/all", handler: secretless, requirement: auth.require("a", check) },
              { path: "/first", handler: secretless, requirement: auth.require(check, "a") },
              { path: "/late", handler: secretless, requirement: auth.require("a", late, "b") },
              { path: "/any", handler: secretless, requirement: auth.require(Requirement.any(check, late)) }
            ])
          )
          for (const path of ["/alone", "/all", "/first", "/late", "/any"]) {
            assert.strictEqual((yield* send(path, "ab")).status, 401, path)
          }
        })
      )
    }

    it.effect("ends in a 500 if it dies or throws", () =>
      Effect.gen(function* () {
        const check = Requirement.check("broken", () => Effect.die("broken"))
        const thrown = Requirement.check("thrown", () => {
          throw new Error("thrown")
        })
        const { send } = yield* serveWithLog(
          adapter.make([
            { path: "/dies", handler: secret, requirement: auth.require("a", check) },
            { path: "/throws", handler: secret, requirement: auth.require(Requirement.any(thrown, "a")) }
          ])
        )
        assert.strictEqual((yield* send("/dies", "a")).status, 500)
        assert.strictEqual((yield* send("/throws", "a")).status, 500)
      })
    )
  })
}
