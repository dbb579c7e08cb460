/**
 * Requests and responses that were recorded from the tests of FastAPI 0.141.1, one per line of `fastapi-cases.jsonl`.
 *
 * - `plan`: `recorded.test.ts` replays `run`, and `openapi.test.ts` compares `document`. `because` gives the reason.
 * - `<access_token>` is the token of the previous response in the same FastAPI test.
 * - `claims` are the claims of that token. Its `exp` counts from the start of the test clock.
 */
import { Schema } from "effect"
import { readFileSync } from "node:fs"

const Fields = Schema.Record(Schema.String, Schema.String)

export const Case = Schema.Struct({
  row: Schema.Int,
  source: Schema.String,
  app: Schema.String,
  plan: Schema.Literals(["run", "document", "left out"]),
  because: Schema.optionalKey(Schema.NonEmptyString),
  request: Schema.Struct({
    method: Schema.String,
    path: Schema.String,
    headers: Fields,
    body: Schema.optionalKey(Schema.String)
  }),
  response: Schema.Struct({
    status: Schema.Int,
    headers: Fields,
    body: Schema.optionalKey(Schema.Json),
    claims: Schema.optionalKey(Schema.Record(Schema.String, Schema.Json)),
    contains: Schema.optionalKey(Schema.Array(Schema.String)),
    lacks: Schema.optionalKey(Schema.Array(Schema.String))
  })
})

export type Case = typeof Case.Type

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Case), { onExcessProperty: "error" })

export const cases: ReadonlyArray<Case> = readFileSync(new URL("fastapi-cases.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => decode(line))
