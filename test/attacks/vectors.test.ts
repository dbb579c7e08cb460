// Verifies the signed examples of the RFCs.
// None is an access token for this API, so `JwtVerifier` refuses all. The reason shows if the signature was valid.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { JwtVerifier, KeySet, SecurityError, TokenVerifier } from "effect-oauth2"
import * as jose from "jose"

interface Vector {
  readonly name: string
  readonly key: jose.JWK
  readonly header: string
  readonly payload: string
  readonly signature: string
  /** Reason of the refusal if the signature is valid. */
  readonly refused: Pick<SecurityError.InvalidToken, "reason" | "claim">
}

const claims = `{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}`
const frodo =
  "It\u2019s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your feet, " +
  "there\u2019s no knowing where you might be swept off to."

const vectors: ReadonlyArray<Vector> = [
  {
    name: "RFC 7515 A.2, RS256",
    key: {
      kty: "RSA",
      n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
      e: "AQAB"
    },
    header: `{"alg":"RS256"}`,
    payload: claims,
    signature:
      "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    refused: { reason: "Claim", claim: "iss" }
  },
  {
    name: "RFC 7515 A.3, ES256",
    key: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    },
    header: `{"alg":"ES256"}`,
    payload: claims,
    signature: "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    refused: { reason: "Claim", claim: "iss" }
  },
  {
    name: "RFC 7520 4.1, RS256",
    key: {
      kty: "RSA",
      kid: "bilbo.baggins@hobbiton.example",
      use: "sig",
      n: "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
      e: "AQAB"
    },
    header: `{"alg":"RS256","kid":"bilbo.baggins@hobbiton.example"}`,
    payload: frodo,
    signature:
      "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
    refused: { reason: "Malformed" }
  },
  {
    name: "RFC 8037 A.4, Ed25519",
    key: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    header: `{"alg":"EdDSA"}`,
    payload: "Example of Ed25519 signing",
    signature: "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    refused: { reason: "Malformed" }
  }
]

const refusalOf = (key: jose.JWK, token: string) =>
  Effect.flatMap(TokenVerifier, (verifier) => Effect.flip(verifier.verify(Redacted.make(token)))).pipe(
    Effect.provide(
      JwtVerifier.layerKeySet({ issuer: "https://issuer.test", audience: "x", profile: "jwt" }).pipe(
        Layer.provide(KeySet.layerStatic({ keys: [key] }))
      )
    ),
    Effect.map((error) => {
      assert.instanceOf(error, SecurityError.InvalidToken)
      return { reason: error.reason, ...(error.claim === undefined ? {} : { claim: error.claim }) }
    })
  )

describe("the signed examples of the RFCs", () => {
  for (const { header, key, name, payload, refused, signature } of vectors) {
    const input = `${jose.base64url.encode(header)}.${jose.base64url.encode(payload)}`

    it.effect(`have a valid signature: ${name}`, () =>
      Effect.map(refusalOf(key, `${input}.${signature}`), (refusal) => assert.deepStrictEqual(refusal, { ...refused }))
    )

    it.effect(`have an invalid signature if one bit of it changes: ${name}`, () =>
      Effect.gen(function* () {
        const bytes = jose.base64url.decode(signature)
        bytes.set([(bytes[10] ?? 0) ^ 1], 10)
        const refusal = yield* refusalOf(key, `${input}.${jose.base64url.encode(bytes)}`)
        assert.deepStrictEqual(refusal, { reason: "Signature" })
      })
    )
  }
})
