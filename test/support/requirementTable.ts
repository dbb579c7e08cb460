/** Requirements, and what each token is answered. */
import { Context, Effect, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import { among, bad, type Expected, few, malformed, none, outage, type Schemes } from "./requirementAnswers.ts"

class Suspended extends Schema.TaggedError<Suspended>()("Suspended", {}) {
  [HttpServerRespondable.symbol]() {
    return Effect.succeed(HttpServerResponse.jsonUnsafe({ _tag: "Suspended" }, { status: 451 }))
  }
}

export class Blocked extends Context.Service<Blocked, ReadonlyArray<string>>()("test/Blocked") {}

const yes = Requirement.check("yes", () => Effect.succeed(true))
const no = Requirement.check("no", () => Effect.as(Effect.yieldNow, false))
const notBlocked = Requirement.check("blocked", (token) =>
  Effect.map(Blocked, (blocked) => !blocked.includes(token.subject))
)
const notSuspended = Requirement.check(
  "suspended",
  (token) => (token.scopes.has("d") ? Effect.fail(new Suspended()) : Effect.succeed(true)),
  { error: Suspended.pipe(HttpApiSchema.status(451)) }
)

interface AnyRequirement extends OAuth2.SecurityRequirementTypes<any, any, any, any> {
  readonly route: { readonly layer: unknown }
}

export interface Case {
  readonly name: string
  /** Outermost first. */
  readonly stack: (schemes: Schemes) => ReadonlyArray<AnyRequirement | "other middleware">
  /**
   * The token sent, the answer (what the handler says where it is a string: the subject, the `SecurityScopes`, the grants that it has), and the
   * schemes whose verifier is called: A for every well-formed token, where nothing is given.
   */
  readonly answers: ReadonlyArray<readonly [token: string | undefined, answer: string | Expected, calls?: string]>
  readonly only?: "HttpRouter" | "HttpApi"
}

const { all, any } = Requirement

export const table: ReadonlyArray<Case> = [
  {
    name: "no scope: any valid token",
    stack: ({ A }) => [A.require()],
    answers: [
      ["none", "none []"],
      ["a", "a []"],
      [undefined, none("")],
      ["x y", malformed],
      ["bad", bad("")],
      ["outage", outage]
    ]
  },
  {
    name: "one scope",
    stack: ({ A }) => [A.require("a")],
    answers: [
      ["a", "a [a] A.a"],
      ["a+b", "a+b [a] A.a"],
      ["b", few("a")],
      ["none", few("a")],
      [undefined, none("a")],
      ["x y", malformed],
      ["bad", bad("a")],
      ["outage", outage]
    ]
  },
  {
    name: "several scopes",
    stack: ({ A }) => [A.require("b", "a")],
    answers: [
      ["a+b", "a+b [b a] A.a A.b"],
      ["a", few("b a")],
      [undefined, none("b a")],
      ["bad", bad("b a")]
    ]
  },
  {
    name: "stacked: outermost first, each once",
    stack: ({ A }) => [A.require("b", "a"), A.require("a"), A.require("c", "a")],
    answers: [
      ["a+b+c", "a+b+c [b a c] A.a A.b A.c"],
      ["a+b", few("b a c")],
      ["a+c", few("b a c")],
      ["b+c", few("b a c")],
      ["bad", bad("b a c")],
      [undefined, none("b a c")],
      ["outage", outage]
    ]
  },
  {
    name: "stacked, and the outer one asks for no scope",
    stack: ({ A }) => [A.require(), A.require("a")],
    answers: [
      ["a", "a [a] A.a"],
      ["none", few("a")]
    ]
  },
  {
    name: "any: the handler has what the token has, the challenge asks for the first",
    stack: ({ A }) => [A.require(any("a", "b"))],
    answers: [
      ["a", "a [] A.a"],
      ["b", "b [] A.b"],
      ["a+b+c", "a+b+c [] A.a A.b"],
      ["c", few("a")],
      [undefined, none("a")],
      ["bad", bad("a")]
    ]
  },
  {
    name: "any of what has a scope in common: it is required",
    stack: ({ A }) => [A.require(any(all("a", "b"), all("c", "a")))],
    answers: [
      ["a+c", "a+c [a] A.a A.c"],
      ["a", few("a b")],
      ["b+c", few("a b")]
    ]
  },
  {
    name: "all of any, nested",
    stack: ({ A }) => [A.require(all("a", any("b", all("c", any("d", "read")))))],
    answers: [
      ["a+b", "a+b [a] A.a A.b"],
      ["a+c+d", "a+c+d [a] A.a A.c A.d"],
      ["a+c+read", "a+c+read [a] A.a A.c A.read"],
      ["a+c", few("a b")],
      ["b+c+d", few("a b")],
      ["a+d", few("a b")]
    ]
  },
  {
    name: "any stacked inside any",
    stack: ({ A }) => [A.require(any("a", "b")), A.require(any("c", "d"))],
    answers: [
      ["a+d", "a+d [] A.a A.d"],
      ["b+c", "b+c [] A.b A.c"],
      ["a+b", few("a c")],
      ["d", few("a c")]
    ]
  },
  {
    name: "implied, directly and transitively",
    stack: ({ A }) => [A.require("read")],
    answers: [
      ["read", "read [read] A.read"],
      ["write", "write [read] A.read"],
      ["admin", "admin [read] A.read"],
      ["a", few("read")]
    ]
  },
  {
    name: "implied further out: the challenge names what implies the rest",
    stack: ({ A }) => [A.require("read", "a"), A.require("admin"), A.require("write")],
    answers: [
      ["admin+a", "admin+a [read a admin write] A.a A.read A.write A.admin"],
      ["write+a+read", few("a admin")],
      ["bad", bad("a admin")],
      [undefined, none("a admin")]
    ]
  },
  {
    name: "implied inside any",
    stack: ({ A }) => [A.require(any("write", "a"))],
    answers: [
      ["admin", "admin [] A.read A.write"],
      ["read", few("write")]
    ]
  },
  {
    name: "a check that says yes, one that says no",
    stack: ({ A }) => [A.require("a", yes), A.require(any(no, "b"))],
    answers: [
      ["a+b", "a+b [a] A.a A.b"],
      ["a", few("a b")],
      ["b", few("a b")]
    ]
  },
  {
    name: "a check that says no",
    stack: ({ A }) => [A.require(no)],
    answers: [
      ["a", few("")],
      [undefined, none("")]
    ]
  },
  {
    name: "a check that needs a service",
    stack: ({ A }) => [A.require("a"), A.require(notBlocked)],
    answers: [
      ["a+b", "a+b [a] A.a"],
      ["a", few("")],
      ["b", few("a")]
    ]
  },
  {
    name: "a check that fails with an error of its own: after the scopes",
    stack: ({ A }) => [A.require("a", notSuspended)],
    answers: [
      ["a", "a [a] A.a"],
      ["d", few("a")],
      ["a+d", `451 {"_tag":"Suspended"}`]
    ]
  },
  {
    name: "optional",
    stack: ({ A }) => [A.optional("a")],
    answers: [
      [undefined, "anonymous [a]"],
      ["a", "a [a]"],
      ["b", few("a")],
      ["bad", bad("a")],
      ["x y", malformed],
      ["outage", outage]
    ]
  },
  {
    name: "optional twice is optional",
    stack: ({ A }) => [A.optional("a"), A.optional("b")],
    answers: [
      [undefined, "anonymous [a b]"],
      ["a+b", "a+b [a b]"],
      ["a", few("a b")]
    ]
  },
  {
    name: "optional inside of a requirement is required",
    stack: ({ A }) => [A.require("a"), A.optional("b")],
    answers: [
      [undefined, none("a b")],
      ["a", few("a b")],
      ["a+b", "a+b [a b] A.a A.b"]
    ]
  },
  {
    name: "optional outside of a requirement is required",
    stack: ({ A }) => [A.optional("a"), A.require("b")],
    answers: [
      [undefined, none("a b")],
      ["b", few("a b")],
      ["a+b", "a+b [a b] A.a A.b"]
    ]
  },
  {
    name: "two schemes, both",
    stack: ({ A, B }) => [A.require("a"), B.require("x")],
    answers: [
      ["a/x", "a/x [a x] A.a B.x", "AB"],
      ["none/x", few("a"), "AB"],
      ["a/y", few("x"), "AB"],
      ["none/y", among(few("a"), few("a"), few("x")), "AB"],
      ["a/bad", bad("x"), "AB"],
      ["bad/x", bad("a"), "AB"],
      ["bad/y", among(few("x"), bad("a"), few("x")), "AB"],
      ["a/outage", outage, "AB"],
      ["bad/outage", bad("a"), "AB"],
      ["outage/bad", bad("x"), "AB"],
      ["outage/y", few("x"), "AB"],
      ["outage/outage", outage, "AB"],
      [undefined, among(none("a"), none("a"), none("x", "B"))],
      ["x y", malformed]
    ]
  },
  {
    name: "two schemes, one of them stacked around the other",
    stack: ({ A, B }) => [A.require("a"), B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a b x] A.a A.b B.x", "AB"],
      ["a/x", few("a b"), "AB"],
      ["a+b/bad", bad("x"), "AB"]
    ]
  },
  {
    name: "two schemes, one of them optional",
    stack: ({ A, B }) => [A.optional("a"), B.require("x")],
    answers: [
      ["a/x", "a/x [a x] B.x", "AB"],
      ["bad/x", bad("a"), "AB"],
      [undefined, none("x", "B")]
    ]
  },
  {
    name: "either of two schemes",
    stack: ({ A, B }) => [OAuth2.either(A.require("a"), B.require("x"))],
    answers: [
      ["a/x", "a/x [a] A.a"],
      ["a/bad", "a/bad [a] A.a"],
      ["a/outage", "a/outage [a] A.a"],
      ["none/x", "none/x [x] B.x", "AB"],
      ["none/y", among(few("a"), few("a"), few("x")), "AB"],
      ["none/bad", among(few("a"), few("a"), bad("x")), "AB"],
      ["none/outage", few("a"), "AB"],
      ["bad/x", "bad/x [x] B.x", "AB"],
      ["bad/y", among(few("x"), bad("a"), few("x")), "AB"],
      ["bad/bad", among(bad("a"), bad("a"), bad("x")), "AB"],
      ["bad/outage", outage, "AB"],
      ["outage/x", "outage/x [x] B.x", "AB"],
      ["outage/y", few("x"), "AB"],
      ["outage/bad", outage, "AB"],
      ["outage/outage", outage, "AB"],
      [undefined, among(none("a"), none("a"), none("x", "B"))],
      ["x y", malformed]
    ]
  },
  {
    name: "either, one of them optional",
    stack: ({ A, B }) => [OAuth2.either(A.require("a"), B.optional("x"))],
    answers: [
      [undefined, "anonymous [x]"],
      ["a/bad", "a/bad [a] A.a"],
      ["bad/x", "bad/x [x]", "AB"],
      ["bad/bad", among(bad("a"), bad("a"), bad("x")), "AB"]
    ]
  },
  {
    name: "either of one scheme",
    stack: ({ A }) => [OAuth2.either(A.require("a", "b"), A.require("c"))],
    answers: [
      ["a+b", "a+b [a b] A.a A.b"],
      ["c", "c [c] A.c"],
      ["a", among(few("a b"), few("a b"), few("c"))],
      ["bad", among(bad("a b"), bad("a b"), bad("c"))]
    ]
  },
  {
    name: "either inside of a requirement of one of its schemes: the handler has both grants",
    stack: ({ A, B }) => [A.require("b"), OAuth2.either(A.require("a"), B.require("x"))],
    answers: [
      ["a+b/bad", "a+b/bad [b a] A.a A.b"],
      ["b/x", "b/x [b x] A.b B.x", "AB"],
      ["a/x", few("b")],
      ["b/bad", among(few("a"), few("a"), bad("x")), "AB"]
    ]
  },
  {
    name: "either of either",
    stack: ({ A, B }) => [OAuth2.either(OAuth2.either(A.require("a"), B.require("x")), A.require("b"))],
    answers: [
      ["b/y", "b/y [b] A.b", "AB"],
      ["none/x", "none/x [x] B.x", "AB"],
      ["none/bad", among(few("a"), few("a"), bad("x"), few("b")), "AB"]
    ]
  },
  {
    name: "other middleware between: the challenge names all, and it is decided once",
    only: "HttpApi",
    stack: ({ A, B }) => [A.require("a"), "other middleware", B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a b x] A.a A.b B.x", "AB"],
      ["a/x", few("a b"), "AB"],
      ["none/y", among(few("a b"), few("a b"), few("x")), "AB"]
    ]
  },
  {
    name: "other middleware between: the outer requirement answers first",
    only: "HttpRouter",
    stack: ({ A, B }) => [A.require("a"), "other middleware", B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a x b] A.a A.b B.x", "AB"],
      ["a/x", few("a b"), "AB"],
      ["none/y", few("a")]
    ]
  }
]
