import { Validator } from "@seriousme/openapi-schema-validator"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { HttpServer } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "./support/authorizationServer.ts"
import { Verifier } from "./support/Verifier.ts"
import { serve } from "./support/web.ts"

// Two schemes with the same names of scopes, so that one may be mistaken for the other; in the first, one scope implies another.
const declared = { a: "", b: "", c: "" }
const schemes = {
  First: OAuth2.authorizationCode("First", { ...authorizationServer, scopes: declared, implies: { c: ["a"] } }),
  Second: OAuth2.authorizationCode("Second", { ...authorizationServer, scopes: declared, responses: "rfc6750" })
}

// ---------------------------------------------------------------------------------------------------------------------
// random apis and tokens, as data
// ---------------------------------------------------------------------------------------------------------------------

const Scope = Schema.Literals(["a", "b", "c"])
const SchemeName = Schema.Literals(["First", "Second"])
const Leaf = Schema.Struct({ of: Schema.Array(Scope) })
/** A check, and whether it answers at once. */
const Check = Schema.Struct({ atOnce: Schema.Boolean })
const Choice = Schema.Struct({ any: Schema.NonEmptyArray(Schema.Union([Scope, Leaf, Check])) })
const Item = Schema.Union([Scope, Leaf, Choice, Check])
const Single = Schema.Struct({ scheme: SchemeName, optional: Schema.Boolean, items: Schema.Array(Item) })
const Requires = Schema.Union([Single, Schema.Struct({ either: Schema.NonEmptyArray(Single) })])
const Token = Schema.Struct({
  First: Schema.NullOr(Schema.Array(Scope)),
  Second: Schema.NullOr(Schema.Array(Scope))
})

const few = { maxLength: 2 }
const stack = Arbitrary.array(Arbitrary.schema(Requires), few)
const endpoints = Arbitrary.array(stack, { minLength: 1, maxLength: 3 })
const groups = Arbitrary.array(Arbitrary.all({ own: stack, endpoints }), { minLength: 1, maxLength: 2 })
const tokens = Arbitrary.array(Arbitrary.schema(Token), { minLength: 1, maxLength: 4 })

/** What every check says. No document can show it. */
let checksSay = true
const says = Effect.sync(() => checksSay)

const itemOf = (item: typeof Item.Type): Requirement.Item<"a" | "b" | "c"> => {
  if (typeof item === "string") return item
  if ("of" in item) return Requirement.all(...item.of)
  if ("atOnce" in item)
    return Requirement.check("check", () => (item.atOnce ? says : Effect.andThen(Effect.yieldNow, says)))
  const [first, ...others] = item.any
  return Requirement.any(itemOf(first), ...others.map(itemOf))
}

const single = ({ items, optional, scheme }: typeof Single.Type): OAuth2.SecurityRequirement<string, unknown> => {
  // A scheme's requirements take its own checks, so what is called here is one of two functions.
  const auth = schemes[scheme] as typeof schemes.First
  return (optional ? auth.optional(...items.map(itemOf)) : auth.require(...items.map(itemOf))) as never
}

const requirementOf = (requires: typeof Requires.Type) => {
  if ("scheme" in requires) return single(requires)
  const [first, ...others] = requires.either
  return OAuth2.either(single(first), ...others.map(single)) as ReturnType<typeof single>
}

// ---------------------------------------------------------------------------------------------------------------------
// what a document says, read by somebody who knows OpenAPI and nothing of this library
// ---------------------------------------------------------------------------------------------------------------------

const allows = (
  security: ReadonlyArray<Readonly<Record<string, ReadonlyArray<string>>>>,
  token: typeof Token.Type | undefined
) =>
  security.length === 0 ||
  security.some((alternative) =>
    Object.entries(alternative).length === 0
      ? token === undefined
      : Object.entries(alternative).every(([scheme, scopes]) => {
          const granted = token?.[scheme as "First" | "Second"]
          return granted !== undefined && granted !== null && scopes.every((scope) => granted.includes(scope as "a"))
        })
  )

/** The official schema of OpenAPI 3.1. */
const validator = new Validator()

describe("the document", () => {
  it.effect.prop(
    "allows a request if and only if the server answers it when every check says yes; when they say no, it answers no other",
    { outer: stack, groups, tokens },
    Effect.fnUntraced(function* ({ groups, outer, tokens }) {
      // One verifier for each scheme: a token is `t0`, `t1`, …, known to the schemes that give it scopes.
      const known = (scheme: "First" | "Second") =>
        new Verifier(
          Object.fromEntries(tokens.flatMap((token, i) => (token[scheme] === null ? [] : [[`t${i}`, token[scheme]]])))
        ).layer
      const withAll = <T extends { middleware: (key: never) => unknown }>(
        self: T,
        // The set of an endpoint has the innermost first: what is added later is further out.
        requires: ReadonlyArray<typeof Requires.Type>
      ): T =>
        requires.toReversed().reduce((self, requires) => self.middleware(requirementOf(requires) as never) as T, self)

      const built = groups.map(({ endpoints, own }, g) =>
        withAll(
          HttpApiGroup.make(`g${g}`).add(
            ...(endpoints.map((requires, e) =>
              withAll(HttpApiEndpoint.get(`e${e}`, `/g${g}/e${e}`, { success: Schema.String }), requires)
            ) as unknown as [HttpApiEndpoint.Top])
          ),
          own
        )
      )
      const plain = HttpApi.make("api").add(...(built as unknown as [HttpApiGroup.Top]))
      const api = withAll(plain, outer).pipe(OAuth2.openApi) as unknown as HttpApi.Top
      const handlers = groups.map((_, g) =>
        HttpApiBuilder.group(
          api,
          `g${g}`,
          (handlers) =>
            Object.keys(api.groups[`g${g}`]?.endpoints ?? {}).reduce(
              (handlers, name) => handlers.handle(name as never, (() => Effect.succeed("ok")) as never) as never,
              handlers
            ) as never
        )
      )
      const app = HttpApiBuilder.layer(api).pipe(
        Layer.provide(handlers as unknown as [Layer.Layer<never>]),
        Layer.provide(schemes.First.layer.pipe(Layer.provide(known("First")))),
        Layer.provide(schemes.Second.layer.pipe(Layer.provide(known("Second")))),
        Layer.provide(HttpServer.layerServices)
      )
      const document = OpenApi.fromApi(api)
      const validity = yield* Effect.promise(() => validator.validate({ ...structuredClone(document) }))
      assert.deepStrictEqual(validity, { valid: true })
      const send = yield* serve(app as never)
      for (const [path, { get }] of Object.entries(document.paths)) {
        const requests = [undefined, ...tokens.keys()]
        for (const i of requests) {
          const allowed = allows(get?.security ?? [], i === undefined ? undefined : tokens[i])
          const answers = (say: boolean) =>
            Effect.suspend(() => {
              checksSay = say
              return Effect.map(send(path, i === undefined ? undefined : `t${i}`), ({ status }) => status === 200)
            })
          const [yes, no] = yield* Effect.all([answers(true), answers(false)])
          const what = `${path} ${JSON.stringify(get?.security)} token ${i}`
          assert.strictEqual(yes, allowed, what)
          assert.isTrue(allowed || !no, `${what}, where the checks say no`)
        }
      }
    }),
    { arbitrary: { runs: 150, seed: 1 } }
  )
})
