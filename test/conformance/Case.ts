/**
 * What FastAPI 0.141.1 answered: exchanges recorded from its own tests, in `fastapi-cases.jsonl`, one a line.
 *
 * `plan` says what we do with a case: `document` is an OpenAPI document, compared in `openapi.test.ts`. `<access_token>` stands for the token of the exchange before it in the same test; `claims` is what
 * such a token says, `exp` counted from the start of the clock.
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
