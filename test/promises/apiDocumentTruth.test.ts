import { Validator } from "@seriousme/openapi-schema-validator"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { documentOfRoutes } from "../support/routesDocument.ts"
import { Verifier } from "../support/TestVerifier.ts"
import { serve } from "../support/web.ts"

// Two schemes with the same names of scopes, so that one may be mistaken for the other; in the first, one scope implies another.
const declared = { a: "", b: "", c: "", never: "Nobody has it" }
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

type AnyItem = Requirement.Item<"a" | "b" | "c" | "never">

/** What every check says. */
let checksSay = true
const says = Effect.sync(() => checksSay)

/** A check that is asked; no document can show what it says. */
const asked = ({ atOnce }: typeof Check.Type): AnyItem =>
  Requirement.check("check", () => (atOnce ? says : Effect.andThen(Effect.yieldNow, says)))

/** In the place of a check that says no. */
const never = (): AnyItem => "never"

const itemOf =
  (checkOf: typeof asked) =>
  (item: typeof Item.Type): AnyItem => {
    if (typeof item === "string") return item
    if ("of" in item) return Requirement.all(...item.of)
    if ("atOnce" in item) return checkOf(item)
    const [first, ...others] = item.any
    return Requirement.any(itemOf(checkOf)(first), ...others.map(itemOf(checkOf)))
  }

const single =
  (checkOf: typeof asked) =>
  ({ items, optional, scheme }: typeof Single.Type): OAuth2.SecurityRequirement<string, unknown> => {
    // A scheme's requirements take its own checks, so what is called here is one of two functions.
    const auth = schemes[scheme] as typeof schemes.First
    const of = items.map(itemOf(checkOf))
    return (optional ? auth.optional(...of) : auth.require(...of)) as never
  }

const requirementOf = (requires: typeof Requires.Type, checkOf: typeof asked) => {
  const of = single(checkOf)
  if ("scheme" in requires) return of(requires)
  const [first, ...others] = requires.either
  return OAuth2.either(of(first), ...others.map(of)) as ReturnType<typeof of>
}

interface Groups {
  readonly outer: ReadonlyArray<typeof Requires.Type>
  readonly groups: ReadonlyArray<{
    readonly own: Groups["outer"]
    readonly endpoints: ReadonlyArray<Groups["outer"]>
  }>
}

const apiOf = ({ groups, outer }: Groups, checkOf: typeof asked): HttpApi.Top => {
  const withAll = <T extends { middleware: (key: never) => unknown }>(self: T, requires: Groups["outer"]): T =>
    // The set of an endpoint has the innermost first: what is added later is further out.
    requires
      .toReversed()
      .reduce((self, requires) => self.middleware(requirementOf(requires, checkOf) as never) as T, self)

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
  return withAll(plain, outer).pipe(OAuth2.openApi)
}

/** The same requirements around the routes of a router. */
const routesOf = ({ groups, outer }: Groups, checkOf: typeof asked): Layer.Layer<never> => {
  const withAll = (self: Layer.Layer<never>, requires: Groups["outer"]): Layer.Layer<never> =>
    requires
      .toReversed()
      .reduce((self, requires) => Layer.provide(self, requirementOf(requires, checkOf).route.layer as never), self)
  const route = (path: `/${string}`) => HttpRouter.add("GET", path, HttpServerResponse.text("ok")) as Layer.Layer<never>
  return withAll(
    groups
      .map(({ endpoints, own }, g) =>
        withAll(
          endpoints
            .map((requires, e) => withAll(route(`/g${g}/e${e}`), requires))
            .reduce((one, other) => Layer.merge(one, other)),
          own
        )
      )
      .reduce((one, other) => Layer.merge(one, other)),
    outer
  )
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

/** One verifier for each scheme: a token is `t0`, `t1`, …, known to the schemes that give it scopes. */
const authentication = (tokens: ReadonlyArray<typeof Token.Type>) => {
  const known = (scheme: "First" | "Second") =>
    new Verifier(
      Object.fromEntries(tokens.flatMap((token, i) => (token[scheme] === null ? [] : [[`t${i}`, token[scheme]]])))
    ).layer
  return Layer.merge(
    schemes.First.layer.pipe(Layer.provide(known("First"))),
    schemes.Second.layer.pipe(Layer.provide(known("Second")))
  )
}

/** Whether the app answers as its document says, and as the other one does where checks say no. */
const assertTrue = Effect.fnUntraced(function* (
  app: Layer.Layer<never>,
  document: OpenApi.OpenAPISpec,
  whereNo: OpenApi.OpenAPISpec,
  tokens: ReadonlyArray<typeof Token.Type>
) {
  const validity = yield* Effect.promise(() => validator.validate({ ...structuredClone(document) }))
  assert.deepStrictEqual(validity, { valid: true })
  const send = yield* serve(app as never)
  for (const path of Object.keys(document.paths)) {
    for (const i of [undefined, ...tokens.keys()]) {
      for (const [say, of] of [
        [true, document],
        [false, whereNo]
      ] as const) {
        checksSay = say
        const { status } = yield* send(path, i === undefined ? undefined : `t${i}`)
        const { security = [] } = of.paths[path as `/${string}`]?.get ?? {}
        const allowed = allows(security, i === undefined ? undefined : tokens[i])
        const what = `${path} ${JSON.stringify(security)} token ${i}, where checks say ${say}: ${status}`
        assert.strictEqual(status === 200, allowed, what)
      }
    }
  }
})

const what =
  "allows a request if and only if the server answers it, with checks that say yes, or with a scope that nobody has for each that says no"

describe("the document", () => {
  it.effect.prop(
    `of an api ${what}`,
    { outer: stack, groups, tokens },
    Effect.fnUntraced(function* ({ groups, outer, tokens }) {
      const api = apiOf({ groups, outer }, asked)
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
        Layer.provide(authentication(tokens)),
        Layer.provide(HttpServer.layerServices)
      ) as Layer.Layer<never>
      yield* assertTrue(app, OpenApi.fromApi(api), OpenApi.fromApi(apiOf({ groups, outer }, never)), tokens)
    }),
    { arbitrary: { runs: 150, seed: 1 } }
  )

  it.effect.prop(
    `of a router's routes ${what}`,
    { outer: stack, groups, tokens },
    Effect.fnUntraced(function* ({ groups, outer, tokens }) {
      const appOf = (checkOf: typeof asked) =>
        routesOf({ groups, outer }, checkOf).pipe(Layer.provide(authentication(tokens)))
      yield* assertTrue(
        appOf(asked),
        yield* documentOfRoutes(appOf(asked)),
        yield* documentOfRoutes(appOf(never)),
        tokens
      )
    }),
    { arbitrary: { runs: 150, seed: 2 } }
  )
})
