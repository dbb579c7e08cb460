/** Encodes the errors of requirements for `effect/rpc`, where no HTTP response carries status and headers. */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { answer } from "../../core/answer.ts"
import * as response from "../../core/response.ts"
import { isSecurityError, type SecurityError } from "../../core/SecurityError.ts"
import { received } from "./errorSchemas.ts"

/** An error of a call on the wire. The reason stays on the server, as in HTTP. */
interface Wire {
  readonly _tag: SecurityError["_tag"]
  /** The text in the body of the HTTP response. */
  readonly detail: string
  readonly challenge?: string
  /** Seconds. */
  readonly retryAfter?: string
}

const toWire = (error: SecurityError): Wire => {
  const how = response.responseOf(error)
  const { body, headers } = answer(error, how?.settings ?? { responses: "rfc6750", realm: "OAuth2", scopes: [] })
  const challenge =
    how !== undefined && how.challenges.length > 0 ? how.challenges.join(", ") : headers["www-authenticate"]
  const retryAfter = headers["retry-after"]
  return {
    _tag: error._tag,
    detail: body.detail,
    ...(challenge === undefined ? {} : { challenge }),
    ...(retryAfter === undefined ? {} : { retryAfter })
  }
}

const fromWire = ({ _tag, challenge = "", retryAfter = "" }: Wire): SecurityError =>
  response.markAsUpstream(received[_tag](_tag === "AuthorizationServerUnavailable" ? retryAfter : challenge))

const wires = new WeakMap<SecurityError, Wire>()

/**
 * Returns the failure of a refused call: the error as the client receives it.
 *
 * `effect/rpc` encodes a failure with the first matching schema, and an error matches every schema that has only a
 * `message`. The failure therefore hides its fields from the operator `in`, which schemas use. `_tag` stays for
 * `Effect.catchTag` in a test without serialization.
 */
export const refusalOf = (error: SecurityError): SecurityError => {
  const wire = toWire(error)
  const refusal = new Proxy(fromWire(wire), {
    has: (target, key) => (typeof key === "symbol" || key === "_tag") && key in target
  })
  wires.set(refusal, wire)
  // A procedure may declare an error schema of the scheme, which encodes the challenge of this response.
  const how = response.responseOf(error)
  if (how !== undefined) response.setResponse(refusal, how)
  return refusal
}

const make = (): Schema.Codec<SecurityError, unknown> =>
  Schema.Struct({
    _tag: Schema.Literals([
      "NotAuthenticated",
      "InvalidRequest",
      "InvalidToken",
      "InvalidDpopProof",
      "UseDpopNonce",
      "InsufficientScope",
      "FailedCheck",
      "InsufficientUserAuthentication",
      "AuthorizationServerUnavailable"
    ]),
    detail: Schema.String,
    challenge: Schema.optionalKey(Schema.String),
    retryAfter: Schema.optionalKey(Schema.String)
  }).pipe(
    Schema.decodeTo(
      Schema.declare(isSecurityError, { identifier: "SecurityError" }),
      SchemaTransformation.transform({
        decode: fromWire,
        encode: (error): Wire => wires.get(error) ?? toWire(error)
      })
    )
  )

let made: Schema.Codec<SecurityError, unknown> | undefined

/**
 * Returns the schema of all errors of requirements. Created when it is needed, because most programs do not use
 * `effect/rpc`.
 */
export const schema = (): Schema.Codec<SecurityError, unknown> => (made ??= make())
