// The examples of RFC 9449 §4, §6 and §7.
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { AccessToken, Dpop, OAuth2, TokenVerifier } from "effect-oauth2"
import { thumbprintInput } from "../../src/verifier/dpop/proofHeader.ts"
import * as segment from "../../src/verifier/dpop/segment.ts"
import * as sha256 from "../../src/verifier/dpop/sha256.ts"
import { codeOf, sendTo } from "../support/dpopApp.ts"

const token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
const jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
const issuedAt = 1_562_262_618_000

/** Figure 13. */
const proof =
  "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"

const verified = AccessToken.make({
  subject: "demo",
  scopes: [],
  issuer: "https://server.example.com",
  expiresAt: DateTime.makeUnsafe("2100-01-01T00:00:00Z"),
  confirmation: { jkt }
})

const auth = OAuth2.bearer("Example", { dpop: Dpop.make({ origin: "https://resource.example.org" }) })

const app = HttpRouter.toHttpEffect(
  HttpRouter.add("GET", "/protectedresource", Effect.succeed(HttpServerResponse.text("ok"))).pipe(
    auth.require(),
    Layer.provide(auth.layer(TokenVerifier.layer({ verify: () => Effect.succeed(verified) })))
  )
)

describe("the examples of RFC 9449", () => {
  it.effect("are accepted once, at their time", () =>
    Effect.gen(function* () {
      const served = yield* app
      const send = sendTo(served, { authorization: `DPoP ${token}`, dpop: proof }, "/protectedresource")
      yield* TestClock.setTime(issuedAt - 31_000)
      assert.strictEqual(codeOf(yield* send), "invalid_dpop_proof")
      yield* TestClock.setTime(issuedAt + 90_000)
      assert.strictEqual(codeOf(yield* send), "invalid_dpop_proof")
      yield* TestClock.setTime(issuedAt + 89_999)
      assert.strictEqual(codeOf(yield* send), "200")
      assert.strictEqual(codeOf(yield* send), "invalid_dpop_proof")
    }).pipe(Effect.scoped)
  )

  const hashes = [
    ["of node:crypto", sha256.make()],
    ["of WebCrypto", sha256.web]
  ] as const

  it.effect.each(hashes)("have these hashes %s", ([, hash]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* hash(token), "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo")
      const key = {
        kty: "EC",
        x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        crv: "P-256"
      }
      assert.strictEqual(yield* hash(thumbprintInput(key)), jkt)
      // RFC 7638 §3.1
      const rsa = {
        kty: "RSA",
        n: "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        e: "AQAB"
      }
      assert.strictEqual(yield* hash(thumbprintInput(rsa)), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")
      // RFC 8037 §A.3
      const okp = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }
      assert.strictEqual(yield* hash(thumbprintInput(okp)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    })
  )
})

describe("a segment of a proof", () => {
  const rows: ReadonlyArray<readonly [name: string, bytes: ReadonlyArray<number>, text: string | undefined]> = [
    ["ASCII", [0x7b, 0x7d], "{}"],
    ["UTF-8", [0xc3, 0xa4, 0xf0, 0x9f, 0x98, 0x80], "ä😀"],
    ["no bytes", [], ""],
    ["a byte order mark, which JSON may not have", [0xef, 0xbb, 0xbf, 0x7b, 0x7d], "\uFEFF{}"],
    ["a zero", [0x00], "\0"],
    ["Latin-1", [0xe4], undefined],
    ["an overlong form", [0xc0, 0xaf], undefined],
    ["a surrogate", [0xed, 0xa0, 0x80], undefined],
    ["an unfinished character", [0x7b, 0xc3], undefined],
    ["a character beyond Unicode", [0xf4, 0x90, 0x80, 0x80], undefined]
  ]
  it.each(rows)("is decoded by Node as by jose: %s", (_, bytes, text) => {
    const encoded = Buffer.from(bytes).toString("base64url")
    assert.strictEqual(segment.web(encoded), text)
    assert.strictEqual(segment.make()(encoded), text)
  })
})
