/** Attacks by request: the header lines and parameters of each, and the expected response. */
import { Effect } from "effect"
import { type Issuer, type MintOptions, TestIssuer } from "effect-oauth2/testing"
import * as jose from "jose"
import { deflateRawSync } from "node:zlib"
import { audience, type Expected, keys, type Parameters } from "./Arena.ts"

export interface Attack {
  readonly class: number
  readonly name: string
  readonly expected: Expected
  /** Header lines of the request. */
  readonly lines: (issuer: Issuer) => Effect.Effect<ReadonlyArray<string>>
  /** Parameters of the request. */
  readonly parameters?: (issuer: Issuer) => Effect.Effect<Parameters>
}

const bearer = (token: string) => [`Authorization: Bearer ${token}`]

const minted =
  (options: MintOptions): Attack["lines"] =>
  (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"], ...options }), bearer)

const claims = (issuer: Issuer, more: Record<string, unknown> = {}) =>
  JSON.stringify({
    iss: issuer.issuer,
    aud: audience,
    sub: "x",
    client_id: "c",
    scope: "read",
    jti: "1",
    iat: 0,
    exp: 9_999_999_999,
    ...more
  })

const header = (more: Record<string, unknown> = {}) =>
  JSON.stringify({ alg: "RS256", kid: "rsa", typ: "at+jwt", ...more })

/** A token of any bytes, with a valid signature of the issuer unless `signature` is given. */
const raw =
  (
    make: (issuer: Issuer) => {
      readonly header?: string | Uint8Array
      readonly payload?: string | Uint8Array
      readonly signature?: string
    }
  ): Attack["lines"] =>
  (issuer) => {
    const parts = make(issuer)
    return Effect.map(
      issuer.mintRaw({
        header: parts.header ?? header(),
        payload: parts.payload ?? claims(issuer),
        ...(parts.signature === undefined ? {} : { signature: parts.signature })
      }),
      bearer
    )
  }

const changedToken =
  (change: (token: string) => string, options: MintOptions = {}): Attack["lines"] =>
  (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"], ...options }), (token) => bearer(change(token)))

const signed =
  (make: (issuer: Issuer) => Promise<string>): Attack["lines"] =>
  (issuer) =>
    Effect.map(
      Effect.promise(() => make(issuer)),
      bearer
    )

const attack = (
  n: number,
  name: string,
  expected: Expected,
  lines: Attack["lines"],
  parameters?: Attack["parameters"]
): Attack => ({ class: n, name, expected, lines, ...(parameters === undefined ? {} : { parameters }) })

/** A valid token of another user as a form or query parameter (RFC 6750 §2.2 and §2.3). */
const otherToken =
  (...places: ReadonlyArray<keyof Parameters>): Attack["parameters"] =>
  (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"], subject: "mallory" }), (token) =>
      Object.fromEntries(places.map((place) => [place, `access_token=${token}`]))
    )

const utf8 = (text: string) => new TextEncoder().encode(text)

export const attacks: ReadonlyArray<Attack> = [
  ...["none", "nOnE", "NONE", "None", "", null, 1, ["RS256"], true, undefined].flatMap((alg) => [
    attack(
      1,
      `alg ${JSON.stringify(alg)}, no signature`,
      "401t",
      raw(() => ({ header: header({ alg }), signature: "" }))
    ),
    attack(
      1,
      `alg ${JSON.stringify(alg)}, a signature`,
      "401t",
      raw(() => ({ header: header({ alg }) }))
    )
  ]),
  attack(
    1,
    "alg in another case",
    "401t",
    raw(() => ({ header: header({ alg: "rs256" }) }))
  ),

  ...(["jwk", "pem"] as const).map((form) =>
    attack(2, `the public key (${form}) as an HMAC secret`, "401t", (issuer) =>
      Effect.gen(function* () {
        const { rsa } = yield* Effect.promise(() => keys)
        const text =
          form === "jwk"
            ? JSON.stringify(rsa.jwk)
            : yield* Effect.promise(async () => {
                const key = await jose.importJWK(rsa.jwk, "RS256", { extractable: true })
                return jose.exportSPKI(key as jose.CryptoKey)
              })
        const key = yield* TestIssuer.makeSecretKey("rsa", text)
        return bearer(yield* issuer.mint({ scopes: ["read"], key }))
      })
    )
  ),
  attack(2, "an RSA key with ES256", "401t", minted({ header: { alg: "ES256" } })),
  attack(2, "an RSA key with PS256", "401t", minted({ header: { alg: "PS256" } })),
  attack(2, "an elliptic-curve key with RS256", "401t", minted({ key: "ec", header: { alg: "RS256" } })),
  attack(2, "an attacker's key of the same name", "401t", (issuer) =>
    Effect.flatMap(
      Effect.promise(() => keys),
      ({ attacker }) => minted({ key: attacker })(issuer)
    )
  ),

  ...(["jwk", "jku", "x5u", "x5c"] as const).map((name) =>
    attack(3, name, "401t", (issuer) =>
      Effect.gen(function* () {
        const { attacker } = yield* Effect.promise(() => keys)
        const value = {
          jwk: attacker.jwk,
          jku: "https://evil.test/jwks",
          x5u: "https://evil.test/cert",
          x5c: ["MIIB"]
        }[name]
        return bearer(yield* issuer.mint({ scopes: ["read"], key: attacker, header: { [name]: value } }))
      })
    )
  ),
  ...(
    [
      ["jku", "https://evil.test/jwks"],
      ["x5u", "https://evil.test/cert"],
      ["x5c", ["MIIB"]]
    ] as const
  ).map(([name, value]) =>
    attack(
      3,
      `${name} as an ignored hint with a valid signature`,
      "200",
      minted({ subject: "good", header: { [name]: value } })
    )
  ),
  attack(3, "jwk with a valid signature", "401t", minted({ header: { jwk: { kty: "oct", k: "AA" } } })),

  ...[
    "../../../etc/passwd",
    "' OR 1=1 --",
    "__proto__",
    "constructor",
    "toString",
    "",
    "http://evil.test/",
    "x\u0000y"
    // No fetch looked for these kids, so their keys may exist.
  ].map((kid) => attack(4, `kid ${JSON.stringify(kid)}`, "401t or 503", minted({ header: { kid } }))),
  ...[{ toString: "rsa" }, ["rsa"], 1, null, true].map((kid) =>
    attack(4, `kid ${JSON.stringify(kid)}`, "401t", minted({ header: { kid } }))
  ),
  attack(4, "a kid of 5,000 characters", "401t", minted({ header: { kid: "k".repeat(5000) } })),

  ...["JWT", "logout+jwt", "dpop+jwt", "secevent+jwt", "at+jwt ", "AT JWT", "", 1, ["at+jwt"], null, undefined].map(
    (typ) => attack(5, `typ ${JSON.stringify(typ)}`, "401t", minted({ header: { typ } }))
  ),
  attack(5, "an ID token", "401t", minted({ profile: "id-token" })),
  attack(5, "no client_id", "401t", minted({ without: ["client_id"] })),

  ...[-1, 0, 1, "9999999999", "Infinity", null, true, [9_999_999_999], {}, 1e300, -1e300].map((exp) =>
    attack(6, `exp ${JSON.stringify(exp)}`, "401t", minted({ claims: { exp } }))
  ),
  attack(6, "exp in milliseconds", "401t", minted({ claims: { exp: Date.now() + 3_600_000 } })),
  attack(6, "no exp", "401t", minted({ without: ["exp"] })),
  attack(
    6,
    "exp Infinity, as a number that overflows",
    "401t",
    raw((issuer) => ({ payload: claims(issuer).replace("9999999999", "1e999") }))
  ),
  attack(
    6,
    "exp NaN, which is not JSON",
    "401t",
    raw((issuer) => ({ payload: claims(issuer).replace("9999999999", "NaN") }))
  ),
  ...[9_999_999_999, "0", null, 1e300].map((nbf) =>
    attack(6, `nbf ${JSON.stringify(nbf)}`, "401t", minted({ claims: { nbf } }))
  ),
  ...[9_999_999_999, "0", null].map((iat) =>
    attack(6, `iat ${JSON.stringify(iat)}`, "401t", minted({ claims: { iat } }))
  ),

  ...[
    "https://api.test/",
    "https://api.tes",
    "https://api.test.evil.test",
    "HTTPS://API.TEST",
    "",
    ["a", "b"],
    [],
    [[audience]],
    { a: audience },
    1,
    null
  ].map((aud) => attack(7, `aud ${JSON.stringify(aud)}`, "401t", minted({ claims: { aud } }))),
  attack(7, "no aud", "401t", minted({ without: ["aud"] })),

  ...[
    "https://issuer.test/",
    "https://issuer.tes",
    "http://issuer.test",
    "HTTPS://ISSUER.TEST",
    ["https://issuer.test"],
    "",
    null,
    1
  ].map((iss) => attack(8, `iss ${JSON.stringify(iss)}`, "401t", minted({ claims: { iss } }))),
  attack(8, "no iss", "401t", minted({ without: ["iss"] })),

  attack(9, "8,000 dots", "401t", () => Effect.succeed(bearer(`a${".".repeat(8000)}`))),
  attack(9, "100,000 dots", "431", () => Effect.succeed(bearer(`a${".".repeat(100_000)}`))),
  attack(9, "8,000 segments", "401t", () => Effect.succeed(bearer("a.".repeat(4000)))),
  attack(9, "one long segment", "401t", () => Effect.succeed(bearer("a".repeat(8000)))),
  attack(9, "a header of 4,000 bytes", "401t", minted({ header: { x: "x".repeat(4000) } })),
  attack(9, "an Authorization header over the length limit", "400", () => Effect.succeed(bearer("a".repeat(8186)))),
  attack(9, "an Authorization header of another scheme over the length limit", "400", () =>
    Effect.succeed([`Authorization: Negotiate ${"a".repeat(9000)}`])
  ),
  attack(9, "8,000 spaces", "400", () => Effect.succeed([`Authorization: Bearer a${" ".repeat(8000)}b`])),

  ...[
    ["a duplicate member in the claims", (text: string) => text.replace("{", `{"sub":"admin",`)],
    ["a duplicate member with an escape", (text: string) => text.replace("{", `{"s\\u0075b":"admin",`)],
    ["a nested duplicate member", (text: string) => text.replace("{", `{"a":{"b":[{"c":1,"c":2}]},`)],
    ["arrays nested too deeply", (text: string) => text.replace("{", `{"a":${"[".repeat(100)}${"]".repeat(100)},`)],
    ["a byte order mark", (text: string) => `\ufeff${text}`],
    ["a comment", (text: string) => text.replace("{", "{/**/")],
    ["text after the claims", (text: string) => `${text}x`],
    ["an array", (text: string) => `[${text}]`],
    ["a string", (text: string) => JSON.stringify(text)],
    ["null", () => "null"],
    ["a single brace", () => "{"]
  ].map(([name, change]) =>
    attack(
      10,
      name as string,
      "401t",
      raw((issuer) => ({ payload: (change as (text: string) => string)(claims(issuer)) }))
    )
  ),
  attack(
    10,
    "invalid UTF-8 in the claims",
    "401t",
    raw((issuer) => {
      const bytes = utf8(claims(issuer, { name: "?" }))
      return { payload: bytes.with(bytes.lastIndexOf(0x3f), 0xff) }
    })
  ),
  attack(
    10,
    "a duplicate member in the header",
    "401t",
    raw(() => ({ header: header().replace("{", `{"alg":"none",`) }))
  ),
  attack(
    10,
    "a header that is not an object",
    "401t",
    raw(() => ({ header: "[]" }))
  ),
  attack(
    10,
    "a header that is not JSON",
    "401t",
    raw(() => ({ header: "alg=RS256" }))
  ),

  // A parser that merges JSON into an object would read missing members, such as `alg` and `exp`, from a prototype.
  ...(
    [
      ["the scope", "403s", { scope: undefined }, { scope: "read" }],
      ["the expiry", "401t", { exp: undefined }, { exp: 9_999_999_999 }],
      ["the client", "401t", { client_id: undefined }, { client_id: "c" }],
      ["ignored members", "200", { sub: "good" }, { sub: "mallory", scope: "", exp: 0, cnf: {}, aud: "x" }]
    ] as const
  ).flatMap(([name, expected, own, inherited]) =>
    prototypes(inherited).map(([member, text]) =>
      attack(
        10,
        `${name} in ${member} in the claims`,
        expected,
        raw((issuer) => ({ payload: claims(issuer, own).replace("{", `{${text},`) }))
      )
    )
  ),
  ...(
    [
      ["the algorithm", "401t", { alg: undefined }, { alg: "RS256" }],
      ["the type", "401t", { typ: undefined }, { typ: "at+jwt" }],
      ["ignored members", "200", {}, { alg: "none", kid: "other", typ: "JWT", crit: ["exp"], b64: false }]
    ] as const
  ).flatMap(([name, expected, own, inherited]) =>
    prototypes(inherited).map(([member, text]) =>
      attack(
        10,
        `${name} in ${member} in the header`,
        expected,
        raw((issuer) => ({ header: header(own).replace("{", `{${text},`), payload: claims(issuer, { sub: "good" }) }))
      )
    )
  ),

  attack(
    11,
    "a valid token, and another user's token in the query and in a form",
    "200",
    minted({ subject: "good" }),
    otherToken("query", "form")
  ),
  attack(
    11,
    "a token without the scope, and another user's token in the query",
    "403s",
    minted({ scopes: [] }),
    otherToken("query")
  ),
  attack(
    11,
    "a token without the scope, and another user's token in a form",
    "403s",
    minted({ scopes: [] }),
    otherToken("form")
  ),
  attack(
    11,
    "an invalid token, and another user's token in the query and in a form",
    "401t",
    minted({ without: ["exp"] }),
    otherToken("query", "form")
  ),
  attack(
    11,
    "Basic credentials, and another user's token in the query and in a form",
    "401n",
    () => Effect.succeed(["Authorization: Basic eDp5"]),
    otherToken("query", "form")
  ),
  attack(11, "the Authorization header twice", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [...bearer(token), ...bearer(token)])
  ),
  attack(11, "the Authorization header twice, once in capitals", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [...bearer(token), `AUTHORIZATION: Bearer ${token}`])
  ),
  attack(11, "Basic before Bearer", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => ["Authorization: Basic eDp5", ...bearer(token)])
  ),
  attack(11, "an empty Authorization header before the token", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => ["Authorization:", ...bearer(token)])
  ),
  attack(11, "two tokens in one header, separated by a comma", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Authorization: Bearer ${token}, Bearer ${token}`])
  ),
  attack(11, "two tokens in one header, separated by a space", "400", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Authorization: Bearer ${token} ${token}`])
  ),

  ...[
    "X-Forwarded-Host: evil.test",
    "Forwarded: host=evil.test;proto=http",
    "X-Original-URL: http://evil.test/"
  ].flatMap((field) => [
    attack(22, `${field}, without a token`, "401n", () => Effect.succeed([field])),
    attack(22, `${field}, with a token for that host`, "401t", (issuer) =>
      Effect.map(issuer.mint({ scopes: ["read"], claims: { aud: "https://evil.test" } }), (token) => [
        field,
        ...bearer(token)
      ])
    )
  ]),

  attack(12, "in the query", "401n", () => Effect.succeed([]), otherToken("query")),
  attack(12, "in a form", "401n", () => Effect.succeed([]), otherToken("form")),
  attack(12, "in the query and in a form", "401n", () => Effect.succeed([]), otherToken("query", "form")),
  attack(12, "in a cookie", "401n", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Cookie: access_token=${token}`])
  ),
  attack(12, "in another header", "401n", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [
      `X-Access-Token: ${token}`,
      `Proxy-Authorization: Bearer ${token}`
    ])
  ),
  attack(12, "with another scheme", "401n", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Authorization: Token ${token}`])
  ),
  attack(12, "without a scheme", "401n", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Authorization: ${token}`])
  ),

  ...['a"b', "a\\b", 'a", error="x', "ä€", "\u0080\u00ff", "a\tb", "<script>alert(1)</script>"].map((text) =>
    attack(13, `token ${JSON.stringify(text)}`, "400", () => Effect.succeed(bearer(text)))
  ),
  attack(13, "a claim with a line break", "401t", minted({ claims: { iss: "x\r\nSet-Cookie: a=b" } })),
  attack(13, "a scope with quotation marks", "403s", minted({ scopes: [], claims: { scope: 'a" error="x read"' } })),

  ...[["b64"], [], ["exp"], "b64", {}, null, [1]].map((crit) =>
    attack(17, `crit ${JSON.stringify(crit)}`, "401t", minted({ header: { crit } }))
  ),
  attack(17, "b64 false", "401t", minted({ header: { b64: false, crit: ["b64"] } })),
  attack(17, "b64 true", "401t", minted({ header: { b64: true } })),
  attack(17, "zip as an ignored hint", "200", minted({ subject: "good", header: { zip: "DEF" } })),
  attack(
    17,
    "zip and compressed claims",
    "401t",
    raw((issuer) => ({ header: header({ zip: "DEF" }), payload: deflateRawSync(claims(issuer)) }))
  ),

  attack(
    18,
    "padding inside of the token",
    "400",
    changedToken((token) => `${token}=a`)
  ),
  attack(
    18,
    "padding at the end, which token68 allows",
    "401t",
    changedToken((token) => `${token}==`)
  ),
  attack(18, "another last character that decodes to the same bytes", "401t", changedToken(otherSpelling)),
  attack(
    18,
    "base64 instead of base64url",
    "401t",
    changedToken((token) => `${token.slice(0, -1)}/`)
  ),
  attack(
    18,
    "no signature",
    "401t",
    changedToken((token) => token.slice(0, token.lastIndexOf(".") + 1))
  ),
  attack(
    18,
    "a truncated signature",
    "401t",
    changedToken((token) => token.slice(0, -4))
  ),
  attack(
    18,
    "a signature that is too long",
    "401t",
    changedToken((token) => `${token}AAAA`)
  ),
  attack(
    18,
    "an ECDSA signature of zeros",
    "401t",
    changedToken((token) => token.replace(/[^.]*$/, jose.base64url.encode(new Uint8Array(64))), { key: "ec" })
  ),
  attack(
    18,
    "an ECDSA signature in DER",
    "401t",
    changedToken(
      (token) => token.replace(/[^.]*$/, (signature) => jose.base64url.encode(der(jose.base64url.decode(signature)))),
      { key: "ec" }
    )
  ),
  attack(
    18,
    "an ECDSA signature of half the length",
    "401t",
    changedToken((token) => token.replace(/[^.]*$/, jose.base64url.encode(new Uint8Array(32).fill(1))), { key: "ec" })
  ),
  // If (r, s) is an ECDSA signature, so is (r, n - s). Everybody who has such a token can make the second token text.
  // Both grant the same, but a deny list must compare `jti`, not the text. `issuers.ts` tests what the cache does.
  attack(
    18,
    "the second valid ECDSA signature of the same token",
    "200",
    changedToken(withOtherS, { key: "ec", subject: "good" })
  ),
  attack(18, "the signature of another token", "401t", (issuer) =>
    Effect.map(
      Effect.all([issuer.mint({ scopes: [] }), issuer.mint({ scopes: ["read"], subject: "admin" })]),
      ([one, other]) => bearer(other.replace(/[^.]*$/, one.slice(one.lastIndexOf(".") + 1)))
    )
  ),

  attack(
    19,
    "a JWE",
    "401t",
    signed(async (issuer) => {
      const { publicKey } = await jose.generateKeyPair("RSA-OAEP-256")
      return new jose.CompactEncrypt(utf8(claims(issuer)))
        .setProtectedHeader({ alg: "RSA-OAEP-256", enc: "A256GCM", kid: "rsa" })
        .encrypt(publicKey)
    })
  ),
  attack(19, "a JWE by password, with many iterations", "401t", () =>
    Effect.succeed(
      bearer(
        [
          jose.base64url.encode(
            JSON.stringify({ alg: "PBES2-HS512+A256KW", enc: "A256GCM", p2c: 2_147_483_647, p2s: "AAAA" })
          ),
          "AA",
          "AA",
          "AA",
          "AA"
        ].join(".")
      )
    )
  ),
  attack(19, "enc in a signed token", "401t", minted({ header: { enc: "A256GCM" } })),
  attack(19, "JSON serialization", "400", () =>
    Effect.succeed(bearer(JSON.stringify({ payload: "e30", signatures: [] })))
  ),

  attack(
    20,
    "a token bound to a DPoP key",
    "401t",
    minted({ claims: { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } } })
  ),
  attack(
    20,
    "a token bound to a certificate",
    "401t",
    minted({ claims: { cnf: { "x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2" } } })
  ),
  attack(20, "a token bound in an unknown way", "401t", minted({ claims: { cnf: { new: 1 } } })),
  attack(20, "a token with the scheme DPoP, which the scheme does not accept", "401n", (issuer) =>
    Effect.map(issuer.mint({ scopes: ["read"] }), (token) => [`Authorization: DPoP ${token}`])
  ),
  ...(
    [
      ["DPoP", "401n"],
      ["Bearer", "401t"]
    ] as const
  ).map(([scheme, expected]) =>
    attack(20, `a token bound to a DPoP key, with the scheme ${scheme} and a proof`, expected, (issuer) =>
      Effect.map(
        Effect.all([
          issuer.mint({ scopes: ["read"], claims: { cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } } }),
          issuer.mint({ header: { typ: "dpop+jwt" } })
        ]),
        ([token, proof]) => [`Authorization: ${scheme} ${token}`, `DPoP: ${proof}`]
      )
    )
  ),

  ...["", "READ", "reads", "rea", "read\tx", "read\u00a0x", "x,read", "read;x"].map((scope) =>
    attack(21, `scope ${JSON.stringify(scope)}`, "403s", minted({ scopes: [], claims: { scope } }))
  ),
  ...[1, true, null, {}, { read: true }, [["read"]], [1], ["read x"]].map((scope) =>
    attack(21, `scope ${JSON.stringify(scope)}`, "403s", minted({ scopes: [], claims: { scope } }))
  ),
  attack(
    21,
    "scope without read, scp with read",
    "403s",
    minted({ scopes: [], claims: { scope: "x", scp: ["read"] } })
  ),
  attack(21, "no scope", "403s", minted({ scopes: [], without: ["scope"] }))
]

/** Sets one of the four unused bits in the last character of a signature of 256 bytes. */
function otherSpelling(token: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
  return token.slice(0, -1) + alphabet.charAt(alphabet.indexOf(token.charAt(token.length - 1)) | 1)
}

/** Returns JSON members that a careless merge would turn into a prototype. */
function prototypes(inherited: object): ReadonlyArray<readonly [name: string, text: string]> {
  const text = JSON.stringify(inherited)
  return [
    ["__proto__", `"__proto__":${text}`],
    ["constructor", `"constructor":{"prototype":${text}}`]
  ]
}

/** Order of the group of ES256 (SEC 2, secp256r1). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Replaces the signature (r, s) of a token with (r, n - s). */
export function withOtherS(token: string): string {
  return token.replace(/[^.]*$/, (signature) => {
    const hex = Buffer.from(signature, "base64url").toString("hex")
    const s = order - BigInt(`0x${hex.slice(64)}`)
    return Buffer.from(hex.slice(0, 64) + s.toString(16).padStart(64, "0"), "hex").toString("base64url")
  })
}

/** Encodes an ECDSA signature in DER, as X.509 does. */
function der(signature: Uint8Array): Uint8Array {
  const integer = (bytes: Uint8Array) => {
    const value = (bytes[0] ?? 0) > 127 ? [0, ...bytes] : [...bytes]
    return [2, value.length, ...value]
  }
  const body = [...integer(signature.slice(0, 32)), ...integer(signature.slice(32))]
  return new Uint8Array([0x30, body.length, ...body])
}
