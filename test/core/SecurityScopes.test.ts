/** Required scopes in the context of an effect. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Deferred, Effect, Fiber, Schema } from "effect"
import { SecurityScopes } from "effect-oauth2"

const scopes = Effect.map(SecurityScopes, (required) => required.scopes)

const arbitrary = { runs: 500, size: 24, seed: 20260819 }

describe("SecurityScopes", () => {
  describe("with no requirement", () => {
    it.effect("requires nothing", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* SecurityScopes, { scopes: [], scopeStr: "" })
      })
    )

    it.effect("does not change if require() gets no scopes", () =>
      Effect.gen(function* () {
        const outside = yield* SecurityScopes
        assert.strictEqual(yield* SecurityScopes.pipe(SecurityScopes.require()), outside)
        const nested = SecurityScopes.pipe(SecurityScopes.require(), SecurityScopes.require("a"))
        assert.deepStrictEqual(yield* nested, { scopes: ["a"], scopeStr: "a" })
      })
    )
  })

  describe("require", () => {
    it.effect("lists the outermost requirement first, as FastAPI's Security does", () =>
      Effect.gen(function* () {
        const guard = SecurityScopes.pipe(SecurityScopes.require("me"), SecurityScopes.require("items"))
        assert.deepStrictEqual(yield* guard, { scopes: ["items", "me"], scopeStr: "items me" })
      })
    )

    it.effect("keeps the order in which one requirement names its scopes", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* scopes.pipe(SecurityScopes.require("c", "a", "b")), ["c", "a", "b"])
      })
    )

    it.effect("lists a scope once, at its first position", () =>
      Effect.gen(function* () {
        const nested = SecurityScopes.pipe(
          SecurityScopes.require("b", "a", "b", "d"),
          SecurityScopes.require("a", "c", "a")
        )
        assert.deepStrictEqual(yield* nested, { scopes: ["a", "c", "b", "d"], scopeStr: "a c b d" })
      })
    )

    it.effect("provides no duplicates to inner effects (FastAPI does)", () =>
      Effect.gen(function* () {
        const leaf = SecurityScopes
        const route = leaf.pipe(SecurityScopes.require("a"), SecurityScopes.require("a"))
        assert.deepStrictEqual(yield* route, { scopes: ["a"], scopeStr: "a" })
      })
    )

    it.effect("applies inside effects that require nothing themselves", () =>
      Effect.gen(function* () {
        const leaf = scopes.pipe(SecurityScopes.require("leaf"))
        const middle = Effect.map(Effect.all([Effect.succeed(1), leaf]), ([, found]) => found)
        assert.deepStrictEqual(yield* middle.pipe(SecurityScopes.require("route")), ["route", "leaf"])
      })
    )

    it.effect("applies to siblings only if their parent requires the scopes", () =>
      Effect.gen(function* () {
        const siblings = Effect.all([
          scopes.pipe(SecurityScopes.require("scope1")),
          scopes.pipe(SecurityScopes.require("scope2")),
          scopes
        ])
        assert.deepStrictEqual(yield* siblings.pipe(SecurityScopes.require("scope3")), [
          ["scope3", "scope1"],
          ["scope3", "scope2"],
          ["scope3"]
        ])
      })
    )

    it.effect("does not apply to its parent, before or after, in success or failure", () =>
      Effect.gen(function* () {
        const before = yield* scopes
        yield* scopes.pipe(SecurityScopes.require("child"))
        yield* Effect.exit(Effect.fail("no").pipe(SecurityScopes.require("child")))
        yield* Effect.exit(Effect.die("no").pipe(SecurityScopes.require("child")))
        yield* Effect.exit(Effect.interrupt.pipe(SecurityScopes.require("child")))
        assert.deepStrictEqual([before, yield* scopes], [["parent"], ["parent"]])
      }).pipe(SecurityScopes.require("parent"))
    )

    it.effect("is inherited by forked fibers, also after the parent has ended", () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<void>()
        const forked = Effect.forkDetach(Effect.andThen(Deferred.await(gate), scopes))
        const fiber = yield* forked.pipe(SecurityScopes.require("forked"))
        assert.deepStrictEqual(yield* scopes, [])
        yield* Deferred.succeed(gate, undefined)
        assert.deepStrictEqual(yield* Fiber.join(fiber), ["forked"])
      })
    )

    it.effect("isolates concurrent effects", () =>
      Effect.gen(function* () {
        const names = Array.from({ length: 100 }, (_, i) => `scope:${i}`)
        const found = yield* Effect.forEach(
          names,
          (name) =>
            Effect.andThen(Effect.yieldNow, Effect.tap(scopes, Effect.yieldNow)).pipe(SecurityScopes.require(name)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          found,
          names.map((name) => [name])
        )
      })
    )

    it.effect("has the same result each time that an effect runs", () =>
      Effect.gen(function* () {
        const guarded = scopes.pipe(SecurityScopes.require("a"))
        assert.deepStrictEqual(yield* Effect.all([guarded, guarded, guarded.pipe(SecurityScopes.require("b"))]), [
          ["a"],
          ["a"],
          ["b", "a"]
        ])
      })
    )

    it.effect("ignores later changes of the array that it received", () =>
      Effect.gen(function* () {
        const own = ["a"]
        const guarded = scopes.pipe(SecurityScopes.require(...own))
        own.push("b")
        assert.deepStrictEqual(yield* guarded, ["a"])
      })
    )

    it.effect("accepts names of inherited object members, such as __proto__", () =>
      Effect.gen(function* () {
        const names = ["__proto__", "constructor", "toString", "hasOwnProperty"]
        assert.deepStrictEqual(yield* scopes.pipe(SecurityScopes.require(...names)), names)
      })
    )

    it.effect("compares scopes by case and as a whole, not by prefix", () =>
      Effect.gen(function* () {
        const names = ["items", "Items", "items:read", "item"]
        assert.deepStrictEqual(yield* scopes.pipe(SecurityScopes.require(...names)), names)
      })
    )

    it.effect("extends scopes that user code provides", () =>
      Effect.gen(function* () {
        const guarded = SecurityScopes.pipe(
          SecurityScopes.require("b"),
          Effect.provideService(SecurityScopes, { scopes: ["a"], scopeStr: "a" })
        )
        assert.deepStrictEqual(yield* guarded, { scopes: ["a", "b"], scopeStr: "a b" })
      })
    )

    for (const name of [
      "",
      " ",
      "a b",
      " a",
      "a ",
      "a\tb",
      "a\n",
      "a\r\nX-Injected: 1",
      "\0",
      "\x7F",
      'a"b',
      "a\\b",
      "é",
      "items\u00A0read",
      "\u212A",
      "😀",
      "\uD800"
    ]) {
      it(`throws a TypeError that names ${JSON.stringify(name)}`, () => {
        for (const names of [[name], ["good", name], [name, "good"]]) {
          let thrown: unknown
          try {
            SecurityScopes.require(...names)
          } catch (error) {
            thrown = error
          }
          assert.instanceOf(thrown, TypeError)
          assert.include(thrown.message, `SecurityScopes.require: ${JSON.stringify(name)} is not a scope name.`)
        }
      })
    }

    it("accepts every character of a scope-token, and no other below U+0100 (RFC 6749 §3.3)", () => {
      for (let code = 0; code <= 0xff; code++) {
        const good = code === 0x21 || (code >= 0x23 && code <= 0x5b) || (code >= 0x5d && code <= 0x7e)
        const declare = () => SecurityScopes.require(`a${String.fromCharCode(code)}b`)
        if (good) assert.doesNotThrow(declare)
        else assert.throws(declare, TypeError)
      }
    })
  })

  describe("properties", () => {
    // Few names, so that generated requirements share scopes.
    const name = Schema.Literals(["a", "b", "c", "items:read", "items:write", "__proto__", "!", "~"])
    const requirements = Arbitrary.array(Arbitrary.array(Arbitrary.schema(name), { maxLength: 6 }), { maxLength: 8 })

    it.effect.prop(
      "nested requirements result in their union, in order of first appearance, outermost first",
      { requirements },
      Effect.fnUntraced(function* ({ requirements }) {
        const expected: Array<string> = []
        for (const own of requirements) {
          for (const scope of own) if (expected.indexOf(scope) === -1) expected.push(scope)
        }
        const nested = requirements.reduceRight<Effect.Effect<Effect.Success<typeof SecurityScopes>>>(
          (inner, own) => inner.pipe(SecurityScopes.require(...own)),
          SecurityScopes
        )
        const outside = yield* SecurityScopes
        assert.deepStrictEqual(yield* nested, { scopes: expected, scopeStr: expected.join(" ") })
        assert.strictEqual(yield* SecurityScopes, outside)
        // RFC 6749 §3.3: splitting the string returns the same scopes.
        const { scopeStr, scopes } = yield* nested
        assert.deepStrictEqual(scopeStr === "" ? [] : scopeStr.split(" "), scopes)
      }),
      { arbitrary }
    )

    it.effect.prop(
      "a forked fiber reads the scopes of the place where it is forked",
      { requirements },
      Effect.fnUntraced(function* ({ requirements }) {
        const seen: Array<readonly [ReadonlyArray<string>, ReadonlyArray<string>]> = []
        const look = Effect.gen(function* () {
          const here = yield* scopes
          const forked = yield* Effect.forkChild(Effect.andThen(Effect.yieldNow, scopes))
          seen.push([here, yield* Fiber.join(forked)])
        })
        yield* requirements.reduceRight(
          (inner, own) => Effect.andThen(look, inner).pipe(SecurityScopes.require(...own)),
          look
        )
        assert.strictEqual(seen.length, requirements.length + 1)
        for (const [here, forked] of seen) assert.deepStrictEqual(forked, here)
      }),
      { arbitrary: { ...arbitrary, runs: 100 } }
    )
  })

  it.effect("are frozen, because requests share them", () =>
    Effect.gen(function* () {
      for (const here of [SecurityScopes, SecurityScopes.pipe(SecurityScopes.require("a"))]) {
        const required = yield* here
        assert.isFrozen(required)
        assert.isFrozen(required.scopes)
      }
    })
  )

  it("have a default value in an empty context", () => {
    assert.deepStrictEqual(Context.get(Context.empty(), SecurityScopes), { scopes: [], scopeStr: "" })
  })
})
