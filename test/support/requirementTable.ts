/**
 * Requirements, and the response to each token. The table is written in a small language.
 *
 * | token | meaning |
 * |---|---|
 * | `a+b/x` | grants scopes a and b of scheme A, and scope x of scheme B |
 * | `a+b` | grants scopes a and b of scheme A; scheme B refuses it |
 * | `none` | is valid and grants no scope |
 * | `bad` | is refused by the verifier |
 * | `outage` | makes the verifier fail with `AuthorizationServerUnavailable` |
 * | `x y` | is malformed, because it contains a space |
 * | `undefined` | the request has no `Authorization` header |
 *
 * In a token, `~` stands for a colon, `-` for an asterisk, and `_x_` for `{x}`: `doc~-` grants `doc:*`.
 *
 * `none`, `bad` and `outage` may stand on both sides of the slash: `bad/x` is refused by A and grants x of B.
 *
 * | answer | meaning |
 * |---|---|
 * | `"a+b [b a] A.a A.b"` | 200: the subject (the token itself), `SecurityScopes`, and the granted scopes |
 * | `"anonymous [a]"` | 200: a request without a token, if authentication is optional |
 * | `"451 {}"` | this status and this body |
 * | `notAuthenticated("a")` | the request has no token; the challenge names scope a |
 * | `malformed` | the credentials are malformed |
 * | `invalidToken("a")` | the token is refused; the challenge names scope a |
 * | `insufficientScope("a b")` | the token lacks scopes; the challenge names scopes a and b |
 * | `failedCheck` | a check refuses a token that lacks no scope |
 * | `outage` | 503 without a challenge |
 * | `combined(best, first, second)` | status and body of `best`, and the challenges of the other arguments in order |
 *
 * A third element lists the schemes whose verifiers run without a cache, such as `"AB"`. By default this is `"A"` for a
 * well-formed token, and no scheme otherwise.
 */
import { Context, Effect, Schema } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import { HttpApiSchema } from "effect/http-api"
import { OAuth2, Requirement } from "effect-oauth2"
import {
  combined,
  failedCheck,
  invalidToken,
  type Expected,
  insufficientScope,
  malformed,
  notAuthenticated,
  outage,
  type Schemes
} from "./requirementAnswers.ts"

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
  readonly rpc: unknown
}

export interface Case {
  readonly name: string
  /** The requirements around the handler, outermost first. */
  readonly stack: (schemes: Schemes) => ReadonlyArray<AnyRequirement | "other middleware">
  /** The first comment of this file explains the language. */
  readonly answers: ReadonlyArray<readonly [token: string | undefined, answer: string | Expected, calls?: string]>
  /** The path of the route, and the path of the request. Default: `/`. */
  readonly at?: { readonly route: `/${string}`; readonly request: string }
  /** Runs the case in one router only. `effect/rpc` behaves like `HttpApi`, and MCP like `HttpRouter`. Default: all. */
  readonly only?: "HttpRouter" | "HttpApi"
  /** The kinds of calls for which the case cannot exist, with the reasons. Default: none. */
  readonly without?: Partial<Readonly<Record<"effect/rpc" | "MCP" | "message", string>>>
}

/** For requirements whose scopes contain a parameter of the path. */
const withoutPath = {
  "effect/rpc": "A procedure has no path, so it has no parameters of a path.",
  MCP: "All tools of a server share one path, so they have no parameters of a path.",
  message: "A message has no path, so it has no parameters of a path."
} as const

const { all, any } = Requirement

export const table: ReadonlyArray<Case> = [
  {
    name: "accepts any valid token without required scopes",
    stack: ({ A }) => [A.require()],
    answers: [
      ["none", "none []"],
      ["a", "a []"],
      [undefined, notAuthenticated("")],
      ["x y", malformed],
      ["bad", invalidToken("")],
      ["outage", outage]
    ]
  },
  {
    name: "accepts only tokens with the required scope",
    stack: ({ A }) => [A.require("a")],
    answers: [
      ["a", "a [a] A.a"],
      ["a+b", "a+b [a] A.a"],
      ["b", insufficientScope("a")],
      ["none", insufficientScope("a")],
      [undefined, notAuthenticated("a")],
      ["x y", malformed],
      ["bad", invalidToken("a")],
      ["outage", outage]
    ]
  },
  {
    name: "accepts only tokens with every required scope",
    stack: ({ A }) => [A.require("b", "a")],
    answers: [
      ["a+b", "a+b [b a] A.a A.b"],
      ["a", insufficientScope("b a")],
      [undefined, notAuthenticated("b a")],
      ["bad", invalidToken("b a")]
    ]
  },
  {
    name: "lists the scopes of nested requirements once, outermost first",
    stack: ({ A }) => [A.require("b", "a"), A.require("a"), A.require("c", "a")],
    answers: [
      ["a+b+c", "a+b+c [b a c] A.a A.b A.c"],
      ["a+b", insufficientScope("b a c")],
      ["a+c", insufficientScope("b a c")],
      ["b+c", insufficientScope("b a c")],
      ["bad", invalidToken("b a c")],
      [undefined, notAuthenticated("b a c")],
      ["outage", outage]
    ]
  },
  {
    name: "requires the inner scope if the outer requirement has none",
    stack: ({ A }) => [A.require(), A.require("a")],
    answers: [
      ["a", "a [a] A.a"],
      ["none", insufficientScope("a")]
    ]
  },
  {
    name: "grants all matching scopes of any(), and names the first alternative in the challenge",
    stack: ({ A }) => [A.require(any("a", "b"))],
    answers: [
      ["a", "a [] A.a"],
      ["b", "b [] A.b"],
      ["a+b+c", "a+b+c [] A.a A.b"],
      ["c", insufficientScope("a")],
      [undefined, notAuthenticated("a")],
      ["bad", invalidToken("a")]
    ]
  },
  {
    name: "requires a scope that all alternatives of any() share",
    stack: ({ A }) => [A.require(any(all("a", "b"), all("c", "a")))],
    answers: [
      ["a+c", "a+c [a] A.a A.c"],
      ["a", insufficientScope("a b")],
      ["b+c", insufficientScope("a b")]
    ]
  },
  {
    name: "accepts nested all() and any()",
    stack: ({ A }) => [A.require(all("a", any("b", all("c", any("d", "read")))))],
    answers: [
      ["a+b", "a+b [a] A.a A.b"],
      ["a+c+d", "a+c+d [a] A.a A.c A.d"],
      ["a+c+read", "a+c+read [a] A.a A.c A.read"],
      ["a+c", insufficientScope("a b")],
      ["b+c+d", insufficientScope("a b")],
      ["a+d", insufficientScope("a b")]
    ]
  },
  {
    name: "accepts any() nested inside any()",
    stack: ({ A }) => [A.require(any("a", "b")), A.require(any("c", "d"))],
    answers: [
      ["a+d", "a+d [] A.a A.d"],
      ["b+c", "b+c [] A.b A.c"],
      ["a+b", insufficientScope("a c")],
      ["d", insufficientScope("a c")]
    ]
  },
  {
    name: "accepts a scope that implies the required one, directly or transitively",
    stack: ({ A }) => [A.require("read")],
    answers: [
      ["read", "read [read] A.read"],
      ["write", "write [read] A.read"],
      ["admin", "admin [read] A.read"],
      ["a", insufficientScope("read")]
    ]
  },
  {
    name: "names only the implying scope in the challenge",
    stack: ({ A }) => [A.require("read", "a"), A.require("admin"), A.require("write")],
    answers: [
      ["admin+a", "admin+a [read a admin write] A.a A.read A.write A.admin"],
      ["write+a+read", insufficientScope("a admin")],
      ["bad", invalidToken("a admin")],
      [undefined, notAuthenticated("a admin")]
    ]
  },
  {
    name: "accepts an implying scope inside any()",
    stack: ({ A }) => [A.require(any("write", "a"))],
    answers: [
      ["admin", "admin [] A.read A.write"],
      ["read", insufficientScope("write")]
    ]
  },
  {
    name: "accepts a declared wildcard scope for scopes of one more segment",
    stack: ({ A }) => [A.require("doc:read"), A.require("a")],
    answers: [
      ["doc~read+a", "doc~read+a [doc:read a] A.a A.doc:read"],
      ["doc~-+a", "doc~-+a [doc:read a] A.a A.doc:read"],
      ["doc~-", insufficientScope("doc:read a")],
      ["doc~--+a", insufficientScope("doc:read a")],
      ["doc~-~own+a", insufficientScope("doc:read a")],
      ["doc~r-+a", insufficientScope("doc:read a")],
      ["do-+a", insufficientScope("doc:read a")],
      ["-+a", insufficientScope("doc:read a")],
      ["-~-+a", insufficientScope("doc:read a")],
      ["DOC~-+a", insufficientScope("doc:read a")],
      [undefined, notAuthenticated("doc:read a")]
    ]
  },
  {
    name: "does not accept a wildcard scope for a scope of more segments",
    stack: ({ A }) => [A.require(any("doc:write:own", "doc:write"))],
    answers: [
      ["doc~-", "doc~- [] A.doc:write"],
      ["doc~write~-", insufficientScope("doc:write:own")],
      ["doc~write~own", "doc~write~own [] A.doc:write:own"]
    ]
  },
  {
    name: "computes a scope from the path, and names it in the challenge",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A }) => [A.require("a"), A.require("org:{org}:read")],
    answers: [
      ["org~acme~read+a", "org~acme~read+a [a org:acme:read] A.a A.org:{org}:read"],
      ["org~other~read+a", insufficientScope("a org:acme:read")],
      ["org~acme~read", insufficientScope("a org:acme:read")],
      ["org~ACME~read+a", insufficientScope("a org:acme:read")],
      ["org~_org_~read+a", insufficientScope("a org:acme:read")],
      ["bad", invalidToken("a org:acme:read")],
      [undefined, notAuthenticated("a org:acme:read")]
    ]
  },
  {
    name: "accepts what implies a computed scope, with the same value",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A }) => [A.require("org:{org}:read"), A.require("org:{org}:write")],
    answers: [
      ["org~acme~write", "org~acme~write [org:acme:read org:acme:write] A.org:{org}:read A.org:{org}:write"],
      ["org~acme~-", "org~acme~- [org:acme:read org:acme:write] A.org:{org}:read A.org:{org}:write"],
      ["org~acme~read", insufficientScope("org:acme:write")],
      ["org~other~-", insufficientScope("org:acme:write")],
      ["org~-~write", insufficientScope("org:acme:write")],
      ["org~-~-", insufficientScope("org:acme:write")],
      [undefined, notAuthenticated("org:acme:write")]
    ]
  },
  {
    name: "uses the other alternative of any() if a computed scope is missing",
    at: { route: "/orgs/:org/:team", request: "/orgs/acme/red" },
    without: withoutPath,
    stack: ({ A }) => [A.require(any("by:{org}:{team}", "b"))],
    answers: [
      ["by~acme~red", "by~acme~red [] A.by:{org}:{team}"],
      ["by~red~acme", insufficientScope("by:acme:red")],
      ["owner", "owner [] A.by:{org}:{team}"],
      ["b", "b [] A.b"]
    ]
  },
  {
    name: "refuses a value that is not one segment of a scope, and does not repeat it",
    at: { route: "/orgs/:org", request: "/orgs/x%22%2C%20error=%22y%20a" },
    without: withoutPath,
    stack: ({ A }) => [A.require("a", "org:{org}:read")],
    answers: [
      ["a", failedCheck],
      ["org~acme~read+a", failedCheck],
      ["org~_org_~read+a", failedCheck],
      ["b", insufficientScope("a")],
      [undefined, notAuthenticated("a")]
    ]
  },
  {
    name: "computes scopes for alternatives of two schemes",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A, B }) => [OAuth2.either(A.require("org:{org}:read"), B.require("x"))],
    answers: [
      ["org~acme~read/y", "org~acme~read/y [org:acme:read] A.org:{org}:read"],
      ["none/x", "none/x [x] B.x", "AB"],
      [
        "none/y",
        combined(insufficientScope("org:acme:read"), insufficientScope("org:acme:read"), insufficientScope("x")),
        "AB"
      ]
    ]
  },
  {
    name: "accepts anonymous requests if the requirement of a computed scope is optional",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A }) => [A.optional("org:{org}:read")],
    answers: [
      [undefined, "anonymous [org:acme:read]"],
      ["org~acme~read", "org~acme~read [org:acme:read]"],
      ["a", insufficientScope("org:acme:read")]
    ]
  },
  {
    name: "computes scopes on both sides of other middleware",
    only: "HttpApi",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A }) => [A.require("a"), "other middleware", A.require("org:{org}:write"), A.require("org:{org}:read")],
    answers: [
      ["org~acme~write+a", "org~acme~write+a [a org:acme:write org:acme:read] A.a A.org:{org}:read A.org:{org}:write"],
      ["org~acme~read+a", insufficientScope("a org:acme:write")]
    ]
  },
  {
    name: "accepts an implying scope in guards on both sides of other middleware",
    only: "HttpRouter",
    at: { route: "/orgs/:org", request: "/orgs/acme" },
    without: withoutPath,
    stack: ({ A }) => [A.require("org:{org}:read"), "other middleware", A.require("a")],
    answers: [
      ["org~acme~-+a", "org~acme~-+a [org:acme:read a] A.a A.org:{org}:read"],
      ["org~acme~-", insufficientScope("org:acme:read a")],
      ["a", insufficientScope("org:acme:read")]
    ]
  },
  {
    name: "uses the other alternative of any() if a check refuses",
    stack: ({ A }) => [A.require("a", yes), A.require(any(no, "b"))],
    answers: [
      ["a+b", "a+b [a] A.a A.b"],
      ["a", insufficientScope("a b")],
      ["b", insufficientScope("a b")]
    ]
  },
  {
    name: "refuses a token if a check returns false",
    stack: ({ A }) => [A.require(no)],
    answers: [
      ["a", failedCheck],
      [undefined, notAuthenticated("")]
    ]
  },
  {
    name: "requests no scope if a check refuses a token that satisfies any alternative",
    stack: ({ A }) => [A.require("c"), A.require(any("a", "b"), no)],
    answers: [
      ["c+b", failedCheck],
      ["c+a", failedCheck],
      ["b", insufficientScope("c a")],
      ["c", insufficientScope("c a")]
    ]
  },
  {
    name: "requests the scopes of the alternative whose checks have not failed",
    stack: ({ A }) => [A.require(any(all("a", no), all("b", yes)))],
    answers: [
      ["b", "b [] A.b"],
      ["a", insufficientScope("b")],
      ["none", insufficientScope("a")],
      [undefined, notAuthenticated("a")]
    ]
  },
  {
    name: "requests the scopes of the alternative whose checks have not failed, inside of another requirement",
    only: "HttpRouter",
    stack: ({ A }) => [A.require("c"), "other middleware", A.require(any(all("a", no), all("b", yes)))],
    answers: [
      ["c+b", "c+b [c] A.b A.c"],
      ["c+a", insufficientScope("c b")],
      ["c", insufficientScope("c a")]
    ]
  },
  {
    name: "requests no scope if the implied scopes satisfy an alternative, but a check refuses",
    stack: ({ A }) => [A.require(any("a", "read"), no)],
    answers: [
      ["admin", failedCheck],
      ["none", insufficientScope("a")]
    ]
  },
  {
    name: "requests no scope for the scheme whose check refuses, and the scopes of the other scheme",
    stack: ({ A, B }) => [OAuth2.either(A.require("a", no), B.require("x"))],
    answers: [
      ["a/x", "a/x [x] B.x", "AB"],
      ["a/y", combined(insufficientScope("x"), failedCheck, insufficientScope("x")), "AB"],
      ["a/bad", combined(failedCheck, failedCheck, invalidToken("x")), "AB"]
    ]
  },
  {
    name: "runs a check that uses a service",
    stack: ({ A }) => [A.require("a"), A.require(notBlocked)],
    answers: [
      ["a+b", "a+b [a] A.a"],
      ["a", failedCheck],
      ["b", insufficientScope("a")]
    ]
  },
  {
    name: "responds with the error of a check after the scopes are checked",
    without: {
      MCP: "The errors of MCP middleware are JSON-RPC errors, so a check with another error does not compile."
    },
    stack: ({ A }) => [A.require("a", notSuspended)],
    answers: [
      ["a", "a [a] A.a"],
      ["d", insufficientScope("a")],
      ["a+d", `451 {"_tag":"Suspended"}`]
    ]
  },
  {
    name: "accepts anonymous requests if authentication is optional",
    stack: ({ A }) => [A.optional("a")],
    answers: [
      [undefined, "anonymous [a]"],
      ["a", "a [a]"],
      ["b", insufficientScope("a")],
      ["bad", invalidToken("a")],
      ["x y", malformed],
      ["outage", outage]
    ]
  },
  {
    name: "accepts anonymous requests if both requirements are optional",
    stack: ({ A }) => [A.optional("a"), A.optional("b")],
    answers: [
      [undefined, "anonymous [a b]"],
      ["a+b", "a+b [a b]"],
      ["a", insufficientScope("a b")]
    ]
  },
  {
    name: "requires a token if an optional requirement is nested inside a required one",
    stack: ({ A }) => [A.require("a"), A.optional("b")],
    answers: [
      [undefined, notAuthenticated("a b")],
      ["a", insufficientScope("a b")],
      ["a+b", "a+b [a b] A.a A.b"]
    ]
  },
  {
    name: "requires a token if an optional requirement wraps a required one",
    stack: ({ A }) => [A.optional("a"), A.require("b")],
    answers: [
      [undefined, notAuthenticated("a b")],
      ["b", insufficientScope("a b")],
      ["a+b", "a+b [a b] A.a A.b"]
    ]
  },
  {
    name: "requires a token of both schemes",
    stack: ({ A, B }) => [A.require("a"), B.require("x")],
    answers: [
      ["a/x", "a/x [a x] A.a B.x", "AB"],
      ["none/x", insufficientScope("a"), "AB"],
      ["a/y", insufficientScope("x"), "AB"],
      ["none/y", combined(insufficientScope("a"), insufficientScope("a"), insufficientScope("x")), "AB"],
      ["a/bad", invalidToken("x"), "AB"],
      ["bad/x", invalidToken("a"), "AB"],
      ["bad/y", combined(insufficientScope("x"), invalidToken("a"), insufficientScope("x")), "AB"],
      ["a/outage", outage, "AB"],
      ["bad/outage", invalidToken("a"), "AB"],
      ["outage/bad", invalidToken("x"), "AB"],
      ["outage/y", insufficientScope("x"), "AB"],
      ["outage/outage", outage, "AB"],
      [undefined, combined(notAuthenticated("a"), notAuthenticated("a"), notAuthenticated("x", "B"))],
      ["x y", malformed]
    ]
  },
  {
    name: "merges two requirements of one scheme around a requirement of the other",
    stack: ({ A, B }) => [A.require("a"), B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a b x] A.a A.b B.x", "AB"],
      ["a/x", insufficientScope("a b"), "AB"],
      ["a+b/bad", invalidToken("x"), "AB"]
    ]
  },
  {
    name: "requires a token of one scheme if the other is optional",
    stack: ({ A, B }) => [A.optional("a"), B.require("x")],
    answers: [
      ["a/x", "a/x [a x] B.x", "AB"],
      ["bad/x", invalidToken("a"), "AB"],
      [undefined, notAuthenticated("x", "B")]
    ]
  },
  {
    name: "accepts a token of either scheme",
    stack: ({ A, B }) => [OAuth2.either(A.require("a"), B.require("x"))],
    answers: [
      ["a/x", "a/x [a] A.a"],
      ["a/bad", "a/bad [a] A.a"],
      ["a/outage", "a/outage [a] A.a"],
      ["none/x", "none/x [x] B.x", "AB"],
      ["none/y", combined(insufficientScope("a"), insufficientScope("a"), insufficientScope("x")), "AB"],
      ["none/bad", combined(insufficientScope("a"), insufficientScope("a"), invalidToken("x")), "AB"],
      ["none/outage", insufficientScope("a"), "AB"],
      ["bad/x", "bad/x [x] B.x", "AB"],
      ["bad/y", combined(insufficientScope("x"), invalidToken("a"), insufficientScope("x")), "AB"],
      ["bad/bad", combined(invalidToken("a"), invalidToken("a"), invalidToken("x")), "AB"],
      ["bad/outage", outage, "AB"],
      ["outage/x", "outage/x [x] B.x", "AB"],
      ["outage/y", insufficientScope("x"), "AB"],
      ["outage/bad", outage, "AB"],
      ["outage/outage", outage, "AB"],
      [undefined, combined(notAuthenticated("a"), notAuthenticated("a"), notAuthenticated("x", "B"))],
      ["x y", malformed]
    ]
  },
  {
    name: "accepts anonymous requests if one scheme of either() is optional",
    stack: ({ A, B }) => [OAuth2.either(A.require("a"), B.optional("x"))],
    answers: [
      [undefined, "anonymous [x]"],
      ["a/bad", "a/bad [a] A.a"],
      ["bad/x", "bad/x [x]", "AB"],
      ["bad/bad", combined(invalidToken("a"), invalidToken("a"), invalidToken("x")), "AB"]
    ]
  },
  {
    name: "accepts either requirement of one scheme",
    stack: ({ A }) => [OAuth2.either(A.require("a", "b"), A.require("c"))],
    answers: [
      ["a+b", "a+b [a b] A.a A.b"],
      ["c", "c [c] A.c"],
      ["a", combined(insufficientScope("a b"), insufficientScope("a b"), insufficientScope("c"))],
      ["bad", combined(invalidToken("a b"), invalidToken("a b"), invalidToken("c"))]
    ]
  },
  {
    name: "grants the scopes of a requirement and of either() nested inside it",
    stack: ({ A, B }) => [A.require("b"), OAuth2.either(A.require("a"), B.require("x"))],
    answers: [
      ["a+b/bad", "a+b/bad [b a] A.a A.b"],
      ["b/x", "b/x [b x] A.b B.x", "AB"],
      ["a/x", insufficientScope("b")],
      ["b/bad", combined(insufficientScope("a"), insufficientScope("a"), invalidToken("x")), "AB"]
    ]
  },
  {
    name: "accepts either() nested inside either()",
    stack: ({ A, B }) => [OAuth2.either(OAuth2.either(A.require("a"), B.require("x")), A.require("b"))],
    answers: [
      ["b/y", "b/y [b] A.b", "AB"],
      ["none/x", "none/x [x] B.x", "AB"],
      [
        "none/bad",
        combined(insufficientScope("a"), insufficientScope("a"), invalidToken("x"), insufficientScope("b")),
        "AB"
      ]
    ]
  },
  {
    name: "names the scopes on both sides of other middleware, and verifies once",
    only: "HttpApi",
    stack: ({ A, B }) => [A.require("a"), "other middleware", B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a b x] A.a A.b B.x", "AB"],
      ["a/x", insufficientScope("a b"), "AB"],
      ["none/y", combined(insufficientScope("a b"), insufficientScope("a b"), insufficientScope("x")), "AB"]
    ]
  },
  {
    name: "checks the outer requirement first if other middleware separates two requirements",
    only: "HttpRouter",
    stack: ({ A, B }) => [A.require("a"), "other middleware", B.require("x"), A.require("b")],
    answers: [
      ["a+b/x", "a+b/x [a x b] A.a A.b B.x", "AB"],
      ["a/x", insufficientScope("a b"), "AB"],
      ["none/y", insufficientScope("a")]
    ]
  }
]
