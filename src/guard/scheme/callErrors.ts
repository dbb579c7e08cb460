/** Encodes the errors of requirements for `effect/rpc`, where no HTTP response carries status and headers. */
import * as ErrorReporter from "effect/ErrorReporter"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { answer } from "../../core/answer.ts"
import * as response from "../../core/response.ts"
import { isSecurityError, type SecurityError } from "../../core/SecurityError.ts"
import { received } from "./errorSchemas.ts"

/**
 * The failure of a refused call. `effect/rpc` encodes a failure with the first matching schema, and a `SecurityError`
 * matches every schema that has only a `message` or a `reason`. This object matches no schema of fields, so the reason
 * does not reach the client.
 */
export class CallRefusal {
  readonly #error: SecurityError

  constructor(error: SecurityError) {
    this.#error = error
  }

  // A refusal is not a fault of the server, so Effect does not report it.
  get [ErrorReporter.ignore](): true {
    return true
  }

  static errorOf(value: unknown): SecurityError | undefined {
    if (isSecurityError(value)) return value
    return typeof value === "object" && value !== null && #error in value ? value.#error : undefined
  }
}

const tags = [
  "NotAuthenticated",
  "InvalidRequest",
  "InvalidToken",
  "InsufficientScope",
  "AuthorizationServerUnavailable"
] as const satisfies ReadonlyArray<SecurityError["_tag"]>

const encode = (error: SecurityError) => {
  const how = response.responseOf(error)
  const { body, headers } = answer(error, how?.settings ?? { responses: "rfc6750", realm: "OAuth2", scopes: [] })
  const challenge =
    how !== undefined && how.challenges.length > 0 ? how.challenges.join(", ") : headers["www-authenticate"]
  return {
    _tag: error._tag,
    detail: body.detail,
    ...(challenge === undefined ? {} : { challenge }),
    ...(headers["retry-after"] === undefined ? {} : { retryAfter: headers["retry-after"] })
  }
}

const make = (): Schema.Codec<SecurityError, unknown> =>
  Schema.Struct({
    _tag: Schema.Literals(tags),
    detail: Schema.String,
    challenge: Schema.optionalKey(Schema.String),
    retryAfter: Schema.optionalKey(Schema.String)
  }).pipe(
    Schema.decodeTo(
      Schema.declare((value: unknown): value is SecurityError => CallRefusal.errorOf(value) !== undefined, {
        identifier: "SecurityError"
      }),
      SchemaTransformation.transform({
        decode: ({ _tag, challenge = "", retryAfter = "" }): SecurityError =>
          response.markAsUpstream(received[_tag](_tag === "AuthorizationServerUnavailable" ? retryAfter : challenge)),
        encode: (value) => {
          const error = CallRefusal.errorOf(value)
          if (error === undefined) throw new Error("A refusal of a call has no error. This is a bug in effect-oauth2.")
          return encode(error)
        }
      })
    )
  )

let made: Schema.Codec<SecurityError, unknown> | undefined

/**
 * Returns the schema of all errors of requirements: their tag, the text of the response, and the challenge or the
 * seconds of `Retry-After`. The reason stays on the server, as in HTTP. Created when it is needed, because most programs
 * do not use `effect/rpc`.
 */
export const schema = (): Schema.Codec<SecurityError, unknown> => (made ??= make())
