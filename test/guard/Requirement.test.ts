import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { OAuth2, Requirement, type VerifiedToken } from "effect-oauth2"
import { combine, type Part, type RequirementPolicy, part } from "../../src/guard/requirement/policy.ts"
import { alternatives, maxAlternatives } from "../../src/guard/requirement/expression.ts"
import { ofItem } from "../../src/guard/requirement/item.ts"
import * as implication from "../../src/guard/scheme/implication.ts"
import * as refuse from "../../src/guard/requirement/refuse.ts"
import type { Scheme } from "../../src/guard/scheme/scheme.ts"
import { authorizationServer } from "../support/authorizationServer.ts"
import { Verifier, verified } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

// ---------------------------------------------------------------------------------------------------------------------
// an independent evaluator: a requirement is a tree, a token is a set of names, an implication is an arrow between
// names
// ---------------------------------------------------------------------------------------------------------------------

const names = ["a", "b", "c", "d", "__proto__", "constructor"] as const
type Name = (typeof names)[number]

type Tree =
  Name | { readonly all: ReadonlyArray<Tree> } | { readonly any: ReadonlyArray<Tree> } | { readonly check: boolean }

type Arrows = ReadonlyArray<readonly [from: Name, to: Name]>

/** Returns the names that each name reaches, including itself, by Warshall's algorithm. */
const closureOf = (arrows: Arrows): ReadonlyMap<Name, ReadonlySet<Name>> => {
  const reached = new Map(names.map((name) => [name, new Set<Name>([name])]))
  for (const [from, to] of arrows) reached.get(from)!.add(to)
  for (const via of names) {
    for (const from of names) {
      if (reached.get(from)!.has(via)) for (const to of reached.get(via)!) reached.get(from)!.add(to)
    }
  }
  return reached
}

const truth = (tree: Tree, has: (name: Name) => boolean, check = (says: boolean) => says): boolean => {
  if (typeof tree === "string") return has(tree)
  if ("check" in tree) return check(tree.check)
  return "all" in tree
    ? tree.all.every((tree) => truth(tree, has, check))
    : tree.any.some((tree) => truth(tree, has, check))
}

const hasBy =
  (arrows: Arrows, token: ReadonlyArray<string>) =>
  (name: Name): boolean =>
    token.some((own) =>
      closureOf(arrows)
        .get(own as Name)
        ?.has(name)
    )

// ---------------------------------------------------------------------------------------------------------------------
// arbitraries
// ---------------------------------------------------------------------------------------------------------------------

const Name = Schema.Literals(names)
const treeOf = (leaf: Schema.Codec<Tree>): Schema.Codec<Tree> => {
  const Tree: Schema.Codec<Tree> = Schema.Union([
    leaf,
    Schema.Struct({ all: Schema.Array(Schema.suspend(() => Tree)) }),
    Schema.Struct({ any: Schema.NonEmptyArray(Schema.suspend(() => Tree)) })
  ])
  return Tree
}
const tree = Arbitrary.schema(treeOf(Name))
const treeWithChecks = Arbitrary.schema(treeOf(Schema.Union([Name, Schema.Struct({ check: Schema.Boolean })])))
const token = Arbitrary.array(Arbitrary.schema(Name), { maxLength: 4 })
/** Arrows go from an earlier to a later name, so there is no cycle. */
const arrows = Arbitrary.array(Arbitrary.schema(Schema.Tuple([Name, Name])), { maxLength: 6 }).pipe(
  Arbitrary.map((pairs) => pairs.filter(([from, to]) => names.indexOf(from) < names.indexOf(to)))
)
const options = (runs: number) => ({ arbitrary: { runs, size: 24, seed: 20261123 } })

// ---------------------------------------------------------------------------------------------------------------------
// the same values for the library
// ---------------------------------------------------------------------------------------------------------------------

const itemOf = (tree: Tree): Requirement.Item<Name> => {
  if (typeof tree === "string") return tree
  if ("check" in tree) {
    return Requirement.check("check", () => (tree.check ? Effect.succeed(true) : Effect.as(Effect.yieldNow, false)))
  }
  if ("all" in tree) return Requirement.all(...tree.all.map(itemOf))
  const [first, ...others] = tree.any.map(itemOf)
  return Requirement.any(first!, ...others)
}

/** `Object.fromEntries` creates own properties, even for `__proto__`. */
const implies = (arrows: Arrows): Readonly<Record<string, ReadonlyArray<Name>>> =>
  Object.fromEntries(names.map((name) => [name, arrows.filter(([from]) => from === name).map(([, to]) => to)]))

const schemeOf = (arrows: Arrows) => {
  // The type is {}, because every object type has a `constructor` that is not a list of scopes.
  const declared: {} = implies(arrows)
  return OAuth2.authorizationCode("OAuth2", {
    ...authorizationServer,
    scopes: Object.fromEntries(names.map((name) => [name, ""])) as Record<Name, string>,
    implies: declared
  })
}

/** Decides about a token. A requirement without an authentication never asks for one. */
const decide = (part: Part, outer: ReadonlyArray<string>, token: VerifiedToken) =>
  Effect.withFiber((fiber) =>
    Effect.map(refuse.decide(part, outer, token, fiber), (error) => {
      assert(error?._tag !== "InsufficientUserAuthentication")
      assert(error?._tag !== "InvalidToken")
      return error
    })
  )

/** Returns the single part of nested requirements, given outermost first. */
const partOf = (arrows: Arrows, stack: ReadonlyArray<Tree>) => {
  // The members of a scheme that the decision uses.
  const scheme = {
    implication: implication.make("test", names, implies(arrows), false),
    isMachine: ({ subject }: VerifiedToken): boolean => subject === "machine",
    settings: (scopes) => ({ responses: "fastapi", realm: "test", scopes, renderers: {} })
  } as Scheme
  const policy = stack.reduce<RequirementPolicy>(
    (outer, tree) =>
      combine(outer, [[part({ scheme, expression: ofItem(itemOf(tree)), optional: false, lookups: [] })]]),
    []
  )
  assert.strictEqual(policy.length, 1)
  return policy[0]![0]!
}

describe("requirements", () => {
  it.effect.prop(
    "accept exactly the tokens of the expression's truth table, and tokens with the challenge's scopes",
    { tree, arrows, token },
    Effect.fnUntraced(function* ({ arrows, token, tree }) {
      const error = yield* decide(partOf(arrows, [tree]), [], verified("demo", token))
      assert.strictEqual(error === undefined, truth(tree, hasBy(arrows, token)))
      if (error === undefined) return
      assert(error._tag === "InsufficientScope")
      const { missing, required } = error
      assert.isTrue(truth(tree, hasBy(arrows, required)))
      assert.isTrue(truth(tree, hasBy(arrows, [...token, ...missing])))
      assert.deepStrictEqual(
        missing,
        required.filter((name) => !hasBy(arrows, token)(name as Name))
      )
      // The challenge is minimal: no scope implies another one.
      for (const name of required) {
        const others = required.filter((other) => other !== name)
        assert.isFalse(hasBy(arrows, others)(name as Name), `${name} of ${required.join(" ")}`)
      }
      assert.isUndefined(error.checks)
    }),
    options(3000)
  )

  it.effect.prop(
    "count checks in the truth table, and the challenge names sufficient scopes if all checks pass",
    { tree: treeWithChecks, arrows, token },
    Effect.fnUntraced(function* ({ arrows, token, tree }) {
      const error = yield* decide(partOf(arrows, [tree]), [], verified("demo", token))
      assert.strictEqual(error === undefined, truth(tree, hasBy(arrows, token)))
      if (error === undefined) return
      // Without a missing scope, the scopes of the token are sufficient.
      const sufficient = error._tag === "FailedCheck" ? token : error.required
      assert.isTrue(truth(tree, hasBy(arrows, sufficient), () => true))
    }),
    options(2000)
  )

  it.effect.prop(
    "request scopes after a failed check exactly if other scopes could help",
    { tree: treeWithChecks, arrows, token },
    Effect.fnUntraced(function* ({ arrows, token, tree }) {
      const error = yield* decide(partOf(arrows, [tree]), [], verified("demo", token))
      if (error?.checks === undefined) return
      const has = hasBy(arrows, token)
      const missing = error._tag === "FailedCheck" ? [] : error.missing
      assert.strictEqual(missing.length === 0, error._tag === "FailedCheck")
      assert.deepStrictEqual(
        missing,
        missing.filter((name) => !has(name as Name))
      )
      // The token may lack scopes, whatever the checks say.
      if (!truth(tree, has, () => true)) return assert.isNotEmpty(missing)
      if (truth(tree, () => true)) assert.isNotEmpty(missing)
      if (missing.length === 0) assert.isFalse(truth(tree, () => true))
    }),
    options(3000)
  )

  it.effect.prop(
    "are equivalent to Requirement.all if they are nested",
    { stack: Arbitrary.array(tree, { minLength: 1, maxLength: 4 }), arrows, token },
    Effect.fnUntraced(function* ({ arrows, stack, token }) {
      const part = partOf(arrows, stack)
      const error = yield* decide(part, [], verified("demo", token))
      assert.strictEqual(error === undefined, truth({ all: stack }, hasBy(arrows, token)))
      const together = yield* decide(partOf(arrows, [{ all: stack }]), [], verified("demo", token))
      assert(error?._tag !== "FailedCheck" && together?._tag !== "FailedCheck")
      assert.deepStrictEqual(error?.required, together?.required)
    }),
    options(1000)
  )

  // The types do not know what a random tree proves.
  interface AnyRequirement {
    readonly route: { readonly layer: unknown }
  }
  type App = Layer.Layer<never, never, any>

  const adapters = {
    HttpRouter: (requirements: ReadonlyArray<AnyRequirement>) =>
      requirements.reduceRight<App>(
        (app, requirement) => Layer.provide(app, requirement.route.layer as App),
        HttpRouter.add("GET", "/", Effect.succeed(HttpServerResponse.text("answer")))
      ),
    HttpApi: (requirements: ReadonlyArray<AnyRequirement>) => {
      const endpoint = HttpApiEndpoint.get("get", "/", { success: Schema.String })
      const Api: any = HttpApi.make("api").add(
        HttpApiGroup.make("group").add(
          requirements.reduceRight<any>((endpoint, requirement) => endpoint.middleware(requirement), endpoint)
        )
      )
      return HttpApiBuilder.layer(Api).pipe(
        Layer.provide(
          HttpApiBuilder.group(Api, "group", (handlers: any) => handlers.handle("get", () => Effect.succeed("answer")))
        ),
        Layer.provide(HttpServer.layerServices)
      ) as App
    }
  }

  for (const [name, adapter] of Object.entries(adapters)) {
    it.effect.prop(
      `accept the same tokens in ${name}, and a token with the challenge's scopes`,
      { stack: Arbitrary.array(tree, { minLength: 1, maxLength: 3 }), arrows, token },
      Effect.fnUntraced(
        function* ({ arrows, stack, token }) {
          const scheme = schemeOf(arrows)
          const tokens: Record<string, ReadonlyArray<string>> = { t: token }
          const app = adapter(stack.map((tree) => scheme.require(itemOf(tree)))).pipe(
            Layer.provide(scheme.layer(new Verifier(tokens).layer))
          )
          const send = yield* serve(app)
          const { challenge, status } = yield* send("/", "t")
          assert.strictEqual(status, truth({ all: stack }, hasBy(arrows, token)) ? 200 : 401)
          if (status === 200) return
          tokens["t"] = /^Bearer scope="(.*)"$/.exec(challenge ?? "")![1]!.split(" ")
          assert.strictEqual((yield* send("/", "t")).status, 200)
        },
        (effect) => Effect.scoped(effect)
      ),
      options(60)
    )
  }
})

describe("alternatives", () => {
  const subsets = Array.from({ length: 2 ** names.length }, (_, bits) => names.filter((_, i) => bits & (1 << i)))

  it.prop(
    "are equivalent to the expression, and no alternative includes another",
    { tree },
    ({ tree }) => {
      const of = alternatives(ofItem(itemOf(tree)))
      // Of the subsets of six names, at most twenty do not include one another.
      assert.isDefined(of)
      for (const subset of subsets) {
        const holds = of.some((alternative) => alternative.every((name) => subset.includes(name as Name)))
        assert.strictEqual(
          holds,
          truth(tree, (name) => subset.includes(name)),
          subset.join(" ")
        )
      }
      for (const one of of) {
        assert.strictEqual(new Set(one).size, one.length)
        for (const other of of) assert.isFalse(one !== other && one.every((name) => other.includes(name)))
      }
    },
    options(1000)
  )

  const scope = (i: number) => `s${i}`
  const choices = (count: number) =>
    Requirement.all(...Array.from({ length: count }, (_, i) => Requirement.any(scope(2 * i), scope(2 * i + 1))))
  const anyOf = (count: number) =>
    Requirement.any(scope(0), ...Array.from({ length: count - 1 }, (_, i) => scope(i + 1)))

  it("are undefined if there are more than maxAlternatives", () => {
    assert.strictEqual(maxAlternatives, 64)
    assert.strictEqual(alternatives(ofItem(choices(6)))?.length, 64)
    assert.isUndefined(alternatives(ofItem(choices(7))))
    assert.strictEqual(alternatives(ofItem(anyOf(64)))?.length, 64)
    assert.isUndefined(alternatives(ofItem(anyOf(65))))
    assert.isUndefined(alternatives(ofItem(Requirement.all("a", Requirement.any("b", choices(7))))))
    assert.isUndefined(alternatives(ofItem(choices(1000))))
  })

  it("are counted without redundant alternatives", () => {
    const again = Requirement.all(...Array.from({ length: 100 }, () => Requirement.any("a", "b")))
    assert.deepStrictEqual(alternatives(ofItem(again)), [["a"], ["b"]])
  })

  it("do not limit requirements: auth.require accepts more than maxAlternatives", () => {
    const scopes = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [scope(i), ""]))
    const scheme = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes })
    assert.doesNotThrow(() => scheme.require(choices(20)))
  })
})

describe("constructors", () => {
  const scheme = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "" } })
  const implying = (implies: Record<string, ReadonlyArray<string>>) => () =>
    OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes: { a: "", b: "", c: "", d: "" }, implies })

  it("refuse a name that is not a scope token, and quote the name", () => {
    for (const name of ["", " ", "a b", 'a"', "a\\", "ä", "a\n"]) {
      assert.throws(() => Requirement.all("a", name), TypeError, `Requirement.all: ${JSON.stringify(name)}`)
      assert.throws(() => Requirement.any("a", name), TypeError, `Requirement.any: ${JSON.stringify(name)}`)
    }
  })

  it("refuse any without items, and accept all without items", () => {
    assert.throws(() => (Requirement.any as () => unknown)(), TypeError, "Requirement.any")
    assert.deepStrictEqual(alternatives(ofItem(Requirement.all())), [[]])
  })

  it("refuse an undeclared scope at any depth, and list the declared scopes", () => {
    const deep = Requirement.all("a", Requirement.any("b", Requirement.all("b", "items:delete")))
    for (const method of ["require", "optional"] as const) {
      assert.throws(
        () => scheme[method](deep as never),
        TypeError,
        `${method} names the scope "items:delete", which is not declared. Declared scopes are "a", "b".`
      )
      assert.throws(() => scheme[method](Requirement.any("a", "toString") as never), TypeError, `"toString"`)
    }
  })

  it("refuse objects that only look like a requirement", () => {
    for (const item of [{}, Object.create(Requirement.all("a")), () => true, 1, ["a"]]) {
      assert.throws(() => scheme.require(item as never), TypeError, "neither a scope nor a requirement")
      assert.throws(() => Requirement.all(item as never), TypeError, "neither a scope nor a requirement")
    }
    assert.throws(() => OAuth2.either({} as never), TypeError, "OAuth2.either")
  })

  it("refuse scopes that imply themselves, and show the cycle", () => {
    assert.throws(implying({ a: ["a"] }), TypeError, "a scope implies itself in implies (a → a).")
    assert.throws(implying({ a: ["b"], b: ["a"] }), TypeError, "a scope implies itself in implies (a → b → a).")
    assert.throws(implying({ d: ["a"], a: ["b"], b: ["c"], c: ["a"] }), TypeError, "a → b → c → a")
    assert.doesNotThrow(implying({ a: ["b", "c"], b: ["d"], c: ["d"] }))
  })

  it("refuse undeclared scopes in implies, and name the scope", () => {
    assert.throws(implying({ a: ["x"] }), TypeError, `implies names the scope "x", which is not declared`)
    assert.throws(implying({ x: ["a"] }), TypeError, `implies names the scope "x", which is not declared`)
    assert.throws(implying({ a: ["toString"] }), TypeError, `"toString"`)
  })
})
