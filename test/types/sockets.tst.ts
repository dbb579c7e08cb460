// The types of tickets and of tokens in a sub-protocol.
import { Effect, Layer, type Redacted } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { type AccessToken, BearerToken, type OAuth2, type SecurityError, SocketTicket } from "effect-oauth2"
import { describe, expect, test } from "tstyche"
import { auth } from "./support.ts"

const issue = HttpRouter.add("POST", "/tickets", Effect.as(SocketTicket.issue, HttpServerResponse.empty()))

describe("SocketTicket", () => {
  test("issues a ticket for the token that a requirement has verified", () => {
    expect<Extract<Layer.Services<typeof issue>, HttpRouter.Request<"Requires", AccessToken>>>().type.toBe<
      HttpRouter.Request<"Requires", AccessToken>
    >()
    const guarded = issue.pipe(auth.require("me"))
    expect<Extract<Layer.Services<typeof guarded>, HttpRouter.Request<"Requires", unknown>>>().type.toBe<
      HttpRouter.Request<"Requires", SocketTicket>
    >()
  })

  test("does not issue a ticket for a request that may be anonymous", () => {
    const optional = issue.pipe(auth.optional("me"))
    expect<Extract<Layer.Services<typeof optional>, HttpRouter.Request<"Requires", AccessToken>>>().type.toBe<
      HttpRouter.Request<"Requires", AccessToken>
    >()
  })

  test("returns a token that only auth.proveToken accepts as a proof", () => {
    const redeemed = SocketTicket.redeem(null as never)
    expect(redeemed).type.toBe<
      Effect.Effect<
        Redacted.Redacted,
        SecurityError.InvalidToken | SecurityError.InvalidRequest,
        SocketTicket | HttpServerRequest.HttpServerRequest
      >
    >()
    const proven = Effect.flatMap(redeemed, (token) => auth.granted("me").pipe(auth.proveToken(token, "me")))
    expect<Effect.Services<typeof proven>>().type.toBe<
      SocketTicket | HttpServerRequest.HttpServerRequest | OAuth2.Authentication<"OAuth2">
    >()
  })
})

describe("BearerToken.fromSubprotocol", () => {
  test("needs a request, and proves nothing", () => {
    expect(BearerToken.fromSubprotocol).type.toBe<
      Effect.Effect<
        Redacted.Redacted,
        SecurityError.NotAuthenticated | SecurityError.InvalidRequest,
        HttpServerRequest.HttpServerRequest
      >
    >()
    expect(BearerToken.layerSubprotocol).type.toBe<Layer.Layer<never>>()
  })
})
