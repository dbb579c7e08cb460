/** The classes of attacks, with the expected response, and the file of their cases. */
export interface AttackClass {
  readonly name: string
  readonly expected: string
  readonly file: "cases.ts" | "issuers.ts" | "calls.ts" | "authentications.ts"
}

const of = (file: AttackClass["file"], name: string, expected: string): AttackClass => ({ name, expected, file })

const invalid = "401 `invalid_token`"

export const classes: Readonly<Record<number, AttackClass>> = {
  1: of("cases.ts", "`alg` is `none`, missing or invalid", invalid),
  2: of("cases.ts", "algorithm and key confusion", invalid),
  3: of("cases.ts", "keys or URLs of keys in the token header", `${invalid}, or 200 if an ignored hint is signed`),
  4: of("cases.ts", "injection through `kid`", `${invalid}, or 503 during the wait between two fetches`),
  5: of("cases.ts", "other kinds of JWT", invalid),
  6: of("cases.ts", "wrong times (`exp`, `nbf`, `iat`)", invalid),
  7: of("cases.ts", "wrong audience (`aud`)", invalid),
  8: of("cases.ts", "wrong issuer (`iss`)", invalid),
  9: of("cases.ts", "oversized input", `${invalid}, 400 \`invalid_request\`, or 431 from Node`),
  10: of(
    "cases.ts",
    "malformed or ambiguous JSON",
    `${invalid}, 403 \`insufficient_scope\`, or 200 if a prototype is ignored`
  ),
  11: of(
    "cases.ts",
    "several credentials in one request",
    `400 \`invalid_request\`. Query and form are ignored: 200, ${invalid}, 401 without error, 403 \`insufficient_scope\``
  ),
  12: of("cases.ts", "token outside of the `Authorization` header", "401 without error"),
  13: of(
    "cases.ts",
    "special characters that could reach the challenge",
    `400 \`invalid_request\`. In claims: ${invalid} or 403 \`insufficient_scope\``
  ),
  14: of("issuers.ts", "outages of the issuer", "503 with `Retry-After`, or 200 with cached keys for the stale window"),
  15: of("issuers.ts", "floods of unknown key names", `${invalid} or 503, with one fetch`),
  16: of("issuers.ts", "weak and unsuitable keys", `${invalid}. Tokens of the other keys get 200`),
  17: of("cases.ts", "critical extensions (`crit`)", `${invalid}, or 200 if an ignored hint is signed`),
  18: of(
    "cases.ts",
    "malformed or foreign signatures",
    `${invalid} or 400 \`invalid_request\`. Another valid signature of the same token gets 200`
  ),
  19: of("cases.ts", "encrypted tokens and other serializations", `${invalid}, or 400 \`invalid_request\``),
  20: of(
    "cases.ts",
    "sender-constrained tokens",
    `${invalid}, or 401 without error for the scheme DPoP. With DPoP: \`invalid_dpop_proof\` or ${invalid}; 400 for both schemes at once. With certificates: ${invalid}`
  ),
  21: of("cases.ts", "missing or malformed scopes", "403 `insufficient_scope`"),
  22: of("cases.ts", "headers that name another host", `401 without error, or ${invalid}`),
  23: of(
    "issuers.ts",
    "tokens that were accepted before",
    `${invalid}, 503 after the stale window, or 200 for the same token`
  ),
  24: of("calls.ts", "proof of another message of the connection", "the message needs its own proof, so nothing runs"),
  25: of(
    "calls.ts",
    "token of another user on a connection",
    "`InvalidToken`. Without a requirement around the connection, each call has its own user"
  ),
  26: of("calls.ts", "`Mcp-Name` and `Mcp-Method` that lie", "403 for the tool in the body, or 400"),
  27: of(
    "calls.ts",
    "batches of JSON-RPC with an allowed and a forbidden call",
    "400 before a call runs, or 403 if one call is forbidden"
  ),
  28: of("calls.ts", "MCP session of another user", "404"),
  29: of("calls.ts", "connections that outlive their token", "`InvalidToken`, or the end of the connection"),
  30: of(
    "calls.ts",
    "several `Authorization` values in a call",
    "only the last value counts. Joined values: `InvalidRequest`"
  ),
  31: of("calls.ts", "tool calls hidden in notifications and odd methods", "no tool runs without its scopes"),
  32: of("calls.ts", "duplicated members and huge IDs in JSON-RPC", "the decision is about the tool that runs"),
  33: of(
    "authentications.ts",
    "authentications that are too weak or too old",
    "401 `insufficient_user_authentication`, or 403 for a machine. Invalid tokens: 401 `invalid_token` without requirements"
  )
}
