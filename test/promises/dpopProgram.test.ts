// The demo of DPoP: an authorization server of oidc-provider, the API, and a client of oauth4webapi.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "../support/program.ts"

describe("scratchpad/dpop/main.ts", () => {
  it.live(
    "accepts the tokens of a real authorization server with the proofs of a real client, and refuses stolen tokens",
    () =>
      Effect.gen(function* () {
        const program = yield* start("scratchpad/dpop/main.ts", {})
        assert.strictEqual(yield* program.ended, 0, program.output.stderr)
        assert.deepStrictEqual(program.output.stdout.trim().split("\n"), [
          "The authorization server issues a token of the type dpop.",
          "GET /items with a proof: 200",
          "POST /payments with a proof: 200",
          "GET /items with the stolen token as Bearer: 401",
          "GET /items with the stolen token and another key: 401",
          "GET /items with a bearer token: 200",
          "POST /payments with a bearer token: 401",
          'WWW-Authenticate: DPoP error="invalid_token", scope="items:write", algs="ES256 ES384 ES512 PS256 PS384 PS512 EdDSA Ed25519"'
        ])
      }).pipe(Effect.scoped),
    30_000
  )
})
