/** OpenAPI documents of random apis and routes allow exactly the requests that the server accepts. */
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

// Two schemes with the same scope names, so that a mix-up would be noticed. In the first, one scope implies another.
const declared = { a: "", b: "", c: "", never: "Nobody has it" }
const schemes = {
  First: OAuth2.authorizationCode("First", { ...authorizationServer, scopes: declared, implies: { c: ["a"] } }),
  Second: OAuth2.authorizationCode("Second", { ...authorizationServer, scopes: declared, responses: "rfc6750" })
}

// ---------------------------------------------------------------------------------------------------------------------
// data of random apis and tokens
// ---------------------------------------------------------------------------------------------------------------------

const Scope = Schema.Literals(["a", "b", "c"])
const SchemeName = Schema.Literals(["First", "Second"])
const Leaf = Schema.Struct({ of: Schema.Array(Scope) })
/** A check that returns its result either at once or later. */
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

/** Result of every check. */
let checkResult = true
const readCheckResult = Effect.sync(() => checkResult)

/** Creates a check that runs. Documents do not show checks. */
const runningCheck = ({ atOnce }: typeof Check.Type): AnyItem =>
  Requirement.check("check", () => (atOnce ? readCheckResult : Effect.andThen(Effect.yieldNow, readCheckResult)))

/** Replaces a check that returns `false` with a scope that no token has. */
const ungrantedScope = (): AnyItem => "never"

const itemOf =
  (checkOf: typeof runningCheck) =>
  (item: typeof Item.Type): AnyItem => {
    if (typeof item === "string") return item
    if ("of" in item) return Requirement.all(...item.of)
    if ("atOnce" in item) return checkOf(item)
    const [first, ...others] = item.any
    return Requirement.any(itemOf(checkOf)(first), ...others.map(itemOf(checkOf)))
  }

const single =
  (checkOf: typeof runningCheck) =>
  ({ items, optional, scheme }: typeof Single.Type): OAuth2.SecurityRequirement<string, unknown> => {
    // The two schemes have different types, and TypeScript cannot call their union.
    const auth = schemes[scheme] as typeof schemes.First
    const of = items.map(itemOf(checkOf))
    return (optional ? auth.optional(...of) : auth.require(...of)) as never
  }

const requirementOf = (requires: typeof Requires.Type, checkOf: typeof runningCheck) => {
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

const apiOf = ({ groups, outer }: Groups, checkOf: typeof runningCheck): HttpApi.Top => {
  const withAll = <T extends { middleware: (key: never) => unknown }>(self: T, requires: Groups["outer"]): T =>
    // Middleware that is added later wraps earlier middleware, so add the innermost first.
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

/** Builds routes of an `HttpRouter` with the same requirements. */
const routesOf = ({ groups, outer }: Groups, checkOf: typeof runningCheck): Layer.Layer<never> => {
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
// an independent reading of a document, by the rules of OpenAPI alone
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

/** Validates documents with the official schema of OpenAPI 3.1. */
const validator = new Validator()

/**
 * Builds one verifier for each scheme. The tokens are `t0`, `t1`, …, and a scheme accepts those that have scopes for
 * it.
 */
const authentication = (tokens: ReadonlyArray<typeof Token.Type>) => {
  const verifierOf = (scheme: "First" | "Second") =>
    new Verifier(
      Object.fromEntries(tokens.flatMap((token, i) => (token[scheme] === null ? [] : [[`t${i}`, token[scheme]]])))
    ).layer
  return Layer.merge(schemes.First.layer(verifierOf("First")), schemes.Second.layer(verifierOf("Second")))
}

/** Asserts that the app agrees with `document` if checks return `true`, and with `ifRefused` if they return `false`. */
const assertTrue = Effect.fnUntraced(function* (
  app: Layer.Layer<never>,
  document: OpenApi.OpenAPISpec,
  ifRefused: OpenApi.OpenAPISpec,
  tokens: ReadonlyArray<typeof Token.Type>
) {
  const validity = yield* Effect.promise(() => validator.validate({ ...structuredClone(document) }))
  assert.deepStrictEqual(validity, { valid: true })
  const send = yield* serve(app as never)
  for (const path of Object.keys(document.paths)) {
    for (const i of [undefined, ...tokens.keys()]) {
      for (const [result, expected] of [
        [true, document],
        [false, ifRefused]
      ] as const) {
        checkResult = result
        const { status } = yield* send(path, i === undefined ? undefined : `t${i}`)
        const { security = [] } = expected.paths[path as `/${string}`]?.get ?? {}
        const allowed = allows(security, i === undefined ? undefined : tokens[i])
        const message = `${path} ${JSON.stringify(security)} token ${i}, checks return ${result}: ${status}`
        assert.strictEqual(status === 200, allowed, message)
      }
    }
  }
})

const claim =
  "allows a request if and only if the server accepts it, with an ungranted scope in place of each check that returns false"

describe("the document", () => {
  it.effect.prop(
    `of an HttpApi ${claim}`,
    { outer: stack, groups, tokens },
    Effect.fnUntraced(function* ({ groups, outer, tokens }) {
      const api = apiOf({ groups, outer }, runningCheck)
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
      yield* assertTrue(app, OpenApi.fromApi(api), OpenApi.fromApi(apiOf({ groups, outer }, ungrantedScope)), tokens)
    }),
    { arbitrary: { runs: 150, seed: 1 } }
  )

  it.effect.prop(
    `of an HttpRouter ${claim}`,
    { outer: stack, groups, tokens },
    Effect.fnUntraced(function* ({ groups, outer, tokens }) {
      const appOf = (checkOf: typeof runningCheck) =>
        routesOf({ groups, outer }, checkOf).pipe(Layer.provide(authentication(tokens)))
      yield* assertTrue(
        appOf(runningCheck),
        yield* documentOfRoutes(appOf(runningCheck)),
        yield* documentOfRoutes(appOf(ungrantedScope)),
        tokens
      )
    }),
    { arbitrary: { runs: 150, seed: 2 } }
  )
})
