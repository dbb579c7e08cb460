/** Nested requirements: their scopes add up, and they refuse a request before the handler sees it. */
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as accumulation from "./apps/accumulation.ts"
import { assertJson, assertUnauthorized, get, send, serve, values } from "./Wire.ts"

const trace: Array<string> = []

/** Returns the response, and what ran while the server created it. */
const traced = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    trace.length = 0
    return Effect.map(effect, (answer) => ({ answer, trace: [...trace] }))
  })

const create = (path: string, body: string, authorization?: string) =>
  send("POST", path, {
    headers: [
      ["Content-Type", "application/json"],
      ...(authorization === undefined ? [] : [["Authorization", authorization] as const])
    ],
    body
  })

const required = (...scopes: ReadonlyArray<string>) => ({ scopes, scopeStr: scopes.join(" ") })

layer(serve(accumulation.make((what) => trace.push(what))))((it) => {
  describe("the required scopes of a route", () => {
    it.effect.each([
      { path: "/group", scopes: ["app", "group"] },
      { path: "/group/route", scopes: ["app", "group", "route"] },
      { path: "/group/sibling", scopes: ["app", "group", "other"] },
      { path: "/group/again", scopes: ["app", "group"] },
      { path: "/group/guest", scopes: ["app", "group", "other"] }
    ])("are those of all its requirements, outermost first, each scope once: $path", ({ path, scopes }) =>
      Effect.gen(function* () {
        const challenge = `Bearer scope="${scopes.join(" ")}"`
        assertUnauthorized(yield* get(path), "Not authenticated", "Bearer")
        assertUnauthorized(yield* get(path, "Bearer bad"), "Could not validate credentials", challenge)
        for (const missing of scopes) {
          const others = scopes.filter((scope) => scope !== missing)
          const answer = yield* get(path, `Bearer ${["with", ...others].join(".")}`)
          assertUnauthorized(answer, "Not enough permissions", challenge)
        }
        assertJson(yield* get(path, `Bearer ${["with", ...scopes].join(".")}`), 200, required(...scopes))
      })
    )

    it.effect("include the scopes that the handler requires, each scope once", () =>
      Effect.gen(function* () {
        assertJson(yield* get("/nested", "Bearer with.app"), 200, required("app", "other"))
      })
    )

    it.effect("do not include the scopes of sibling routes", () =>
      Effect.gen(function* () {
        assertJson(yield* get("/open"), 200, required())
        assertJson(yield* get("/guest"), 200, required("app"))
      })
    )

    it.effect("include requirements with other middleware between them, and the token is verified once", () =>
      Effect.gen(function* () {
        const { answer, trace } = yield* traced(get("/between", "Bearer with.app.route"))
        assertJson(answer, 200, required("app", "route"))
        assert.deepStrictEqual(trace, ["verify", "between"])
        assertUnauthorized(
          yield* get("/between", "Bearer with.app"),
          "Not enough permissions",
          'Bearer scope="app route"'
        )
      })
    )
  })

  describe("a request is refused", () => {
    it.effect("before its path parameters and its body are parsed", () =>
      Effect.gen(function* () {
        for (const path of ["/group/items/1", "/group/items/no-number"]) {
          for (const body of ['{"name":""}', "{}", ""]) {
            assertUnauthorized(yield* create(path, body), "Not authenticated", "Bearer")
          }
        }
        const token = "Bearer with.app.group.route"
        assertJson(yield* create("/group/items/1", '{"name":"Plumbus"}', token), 201, { id: 1, name: "Plumbus" })
        for (const path of ["/group/items/1", "/group/items/no-number"]) {
          const answer = yield* create(path, "{}", token)
          assert.strictEqual(answer.status, 400)
          assert.deepStrictEqual(values(answer, "www-authenticate"), [])
        }
      })
    )

    it.effect("before middleware inside the requirement runs, and after middleware outside it runs", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* traced(get("/ordered"))).trace, ["outside"])
        assert.deepStrictEqual((yield* traced(get("/ordered", "Bearer with"))).trace, ["outside", "verify"])
        const { answer, trace } = yield* traced(get("/ordered", "Bearer with.app"))
        assertJson(answer, 200, {})
        assert.deepStrictEqual(trace, ["outside", "verify", "inside", "handler"])
      })
    )

    it.effect("with 404 and no challenge if the path has no route", () =>
      Effect.gen(function* () {
        for (const authorization of [undefined, "Bearer bad", "Bearer with.app"]) {
          for (const path of ["/", "/groups", "/group/nothing"]) {
            const { answer, trace } = yield* traced(get(path, authorization))
            assert.strictEqual(answer.status, 404)
            assert.deepStrictEqual(values(answer, "www-authenticate"), [])
            assert.deepStrictEqual(trace, [])
          }
        }
      })
    )

    it.effect("with 404 and no challenge if the path does not support the method", () =>
      Effect.gen(function* () {
        const answer = yield* send("DELETE", "/group", { headers: [["Authorization", "Bearer bad"]] })
        assert.strictEqual(answer.status, 404)
        assert.deepStrictEqual(values(answer, "www-authenticate"), [])
      })
    )

    it.effect("if it is a HEAD request without a token", () =>
      Effect.gen(function* () {
        const answer = yield* send("HEAD", "/group")
        assert.strictEqual(answer.status, 401)
        assert.deepStrictEqual(values(answer, "www-authenticate"), ["Bearer"])
        const allowed = yield* send("HEAD", "/group", { headers: [["Authorization", "Bearer with.app.group"]] })
        assert.strictEqual(allowed.status, 200)
      })
    )
  })
})

layer(serve(accumulation.twoSchemes))("a route with requirements of two schemes", (it) => {
  const detail = "Not enough permissions"

  it.effect("requires both, and the outer scheme refuses first", () =>
    Effect.gen(function* () {
      assertUnauthorized(yield* get("/"), "Not authenticated", "Bearer")
      assertUnauthorized(yield* get("/", "Bearer with.partner"), detail, 'Bearer scope="app"')
      assert.strictEqual((yield* get("/", "Bearer with.app")).status, 401)
    })
  )

  it.effect("names only the inner scheme's scopes if the outer scheme accepts the token", () =>
    Effect.gen(function* () {
      assertUnauthorized(yield* get("/", "Bearer with.app"), detail, 'Bearer scope="partner"')
      assert.strictEqual((yield* get("/", "Bearer with.app.partner")).status, 200)
    })
  )
})
