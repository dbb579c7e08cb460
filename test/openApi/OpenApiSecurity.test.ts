/** `OpenApiSecurity.of`: requirements as Security Requirement Objects. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { OAuth2, OpenApiSecurity, Requirement } from "effect-oauth2"
import { authorizationServer } from "../support/authorizationServer.ts"
import { auth, other, scopes } from "../support/apiDocuments.ts"

describe("OpenApiSecurity.of", () => {
  const cases: ReadonlyArray<
    readonly [name: string, actual: ReturnType<typeof OpenApiSecurity.of>, expected: unknown]
  > = [
    ["any valid token", OpenApiSecurity.of(auth.require()), [{ OAuth2: [] }]],
    ["all of some scopes", OpenApiSecurity.of(auth.require("a", "b")), [{ OAuth2: ["a", "b"] }]],
    [
      "nested requirements, outermost first, each scope once",
      OpenApiSecurity.of(auth.require("b"), auth.require("a", "b")),
      [{ OAuth2: ["b", "a"] }]
    ],
    [
      "one of some scopes",
      OpenApiSecurity.of(auth.require(Requirement.any("a", "b"))),
      [{ OAuth2: ["a"] }, { OAuth2: ["b"] }]
    ],
    [
      "nested scopes",
      OpenApiSecurity.of(auth.require("a", Requirement.any("b", Requirement.all("c", "all")))),
      [{ OAuth2: ["a", "b"] }, { OAuth2: ["a", "c", "all"] }]
    ],
    [
      "no alternative that includes another alternative",
      OpenApiSecurity.of(auth.require(Requirement.any("a", Requirement.all("a", "b")))),
      [{ OAuth2: ["a"] }]
    ],
    ["an optional requirement", OpenApiSecurity.of(auth.optional("a")), [{ OAuth2: ["a"] }, {}]],
    [
      "an optional requirement inside a required one",
      OpenApiSecurity.of(auth.require("a"), auth.optional("b")),
      [{ OAuth2: ["a", "b"] }]
    ],
    [
      "an optional requirement and a required one of another scheme, because both read the same token",
      OpenApiSecurity.of(auth.optional("a"), other.require("x")),
      [{ OAuth2: ["a"], Other: ["x"] }]
    ],
    ["both schemes", OpenApiSecurity.of(auth.require("a"), other.require("x")), [{ OAuth2: ["a"], Other: ["x"] }]],
    [
      "either scheme",
      OpenApiSecurity.of(OAuth2.either(auth.require("a"), other.require("x"))),
      [{ OAuth2: ["a"] }, { Other: ["x"] }]
    ],
    [
      "either scheme inside a requirement",
      OpenApiSecurity.of(auth.require("b"), OAuth2.either(auth.require("a"), other.require("x"))),
      [{ OAuth2: ["b", "a"] }, { OAuth2: ["b"], Other: ["x"] }]
    ],
    [
      "no custom checks",
      OpenApiSecurity.of(
        auth.require(
          "a",
          Requirement.check("c", () => Effect.succeed(true))
        )
      ),
      [{ OAuth2: ["a"] }]
    ]
  ]
  for (const [name, actual, expected] of cases) {
    it(`shows ${name}`, () => assert.deepStrictEqual(actual, expected as typeof actual))
  }

  it("shows the scopes that imply a required one", () => {
    const implying = OAuth2.authorizationCode("OAuth2", {
      ...authorizationServer,
      scopes,
      implies: { all: ["a", "b", "c"] }
    })
    assert.deepStrictEqual(OpenApiSecurity.of(implying.require("a", "b")), [
      { OAuth2: ["a", "b"] },
      { OAuth2: ["all"] }
    ])
  })

  it("throws if a requirement has more than maxAlternatives alternatives", () => {
    const names = Array.from({ length: 14 }, (_, i) => `s${i}`)
    const many = OAuth2.clientCredentials("Many", {
      tokenUrl: "t",
      scopes: Object.fromEntries(names.map((name) => [name, ""]))
    })
    const choices = Array.from({ length: 7 }, (_, i) => Requirement.any(`s${2 * i}`, `s${2 * i + 1}`))
    assert.lengthOf(OpenApiSecurity.of(many.require(...choices.slice(0, 6))), OpenApiSecurity.maxAlternatives)
    assert.throws(() => OpenApiSecurity.of(many.require(...choices)), TypeError, "64 alternatives")
  })
})
