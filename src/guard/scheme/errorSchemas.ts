/** The errors of a scheme as an `HttpApi` declares them. */
import * as Duration from "effect/Duration"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { answer } from "../../core/answer.ts"
import type * as Challenge from "../../core/Challenge.ts"
import * as raised from "../../core/response.ts"
import {
  AuthorizationServerUnavailable,
  InsufficientScope,
  InvalidRequest,
  InvalidToken,
  isSecurityError,
  NotAuthenticated,
  type SecurityError
} from "../../core/SecurityError.ts"
import { exampleErrors } from "../../core/exampleErrors.ts"
import { own } from "../../core/lib/ownProperties.ts"

/** The errors as an `HttpApi` declares them: for its document and for its typed client. */
export type ErrorSchemasByTag = {
  readonly [Tag in SecurityError["_tag"]]: Schema.Codec<Extract<SecurityError, { readonly _tag: Tag }>, unknown>
}

/** The same, as the types of a requirement hold them. */
export type ErrorSchemas = readonly [
  ErrorSchemasByTag["NotAuthenticated"],
  ErrorSchemasByTag["InvalidRequest"],
  ErrorSchemasByTag["InvalidToken"],
  ErrorSchemasByTag["InsufficientScope"],
  ErrorSchemasByTag["AuthorizationServerUnavailable"]
]

const mark = "~effect-oauth2/ErrorSchema"

/** Whether a schema of an endpoint's errors is one of these. */
export const isOurs = (schema: Schema.Top): boolean => settingsOf(schema) !== undefined

/** How the scheme answers whose error this is. */
export const settingsOf = (schema: Schema.Top): Challenge.Settings | undefined =>
  own(SchemaAST.resolve(schema.ast), mark) as Challenge.Settings | undefined

export const make = (responses: Challenge.Responses, realm: string): ErrorSchemasByTag => {
  const settings: Challenge.Settings = { responses, realm, scopes: [], renderers: {} }

  /** Status and detail are those of the answer to `example`; `received` makes the error from the headers that came with it. */
  const declare = <E extends SecurityError>(
    example: E,
    header: "www-authenticate" | "retry-after",
    received: (value: string) => E
  ): Schema.Codec<E, unknown> => {
    const { body, status } = answer(example, settings)
    const tag = example._tag
    const self = Schema.declare((value: unknown): value is E => isSecurityError(value) && value._tag === tag, {
      identifier: tag,
      [mark]: settings
    })
    return self.pipe(
      HttpApiSchema.encodeToWithHeaders(
        {
          body: Schema.Struct({ detail: Schema.Literal(body.detail) }).pipe(HttpApiSchema.status(status)),
          headers: { [header]: Schema.String }
        },
        {
          decode: ({ headers }) => raised.receive(received(headers[header] ?? "")),
          encode: (error) => {
            if (raised.isReceived(error)) throw raised.notHandled
            // As the scheme has raised it; or, where a program made it, as this scheme answers where nothing is asked.
            return { body, headers: answer(error, raised.of(error)?.settings ?? settings).headers }
          }
        }
      )
    )
  }

  return {
    NotAuthenticated: declare(
      exampleErrors.NotAuthenticated,
      "www-authenticate",
      (challenge) => new NotAuthenticated({ reason: "Unspecified", challenge })
    ),
    InvalidRequest: declare(
      exampleErrors.InvalidRequest,
      "www-authenticate",
      (challenge) => new InvalidRequest({ reason: "Unspecified", challenge })
    ),
    InvalidToken: declare(
      exampleErrors.InvalidToken,
      "www-authenticate",
      (challenge) => new InvalidToken({ reason: "Unspecified", challenge })
    ),
    InsufficientScope: declare(
      exampleErrors.InsufficientScope,
      "www-authenticate",
      (challenge) => new InsufficientScope({ required: scopesOf(challenge), missing: [], challenge })
    ),
    AuthorizationServerUnavailable: declare(
      exampleErrors.AuthorizationServerUnavailable,
      "retry-after",
      (seconds) =>
        new AuthorizationServerUnavailable({
          reason: "Unspecified",
          retryAfter: Duration.seconds(/^\d{1,10}$/.test(seconds) ? Number(seconds) : 1)
        })
    )
  }
}

// Of several schemes' challenges the one that says insufficient_scope. A scope holds neither quotation marks nor backslashes (RFC 6750 §3), so
// the parameter ends at the next mark.
const scopesOf = (challenge: string): ReadonlyArray<string> => {
  const scope =
    /error="insufficient_scope", scope="([^"]*)"/.exec(challenge) ?? /(?:^|[ ,])scope="([^"]*)"/.exec(challenge)
  return scope?.[1]?.split(" ") ?? []
}
