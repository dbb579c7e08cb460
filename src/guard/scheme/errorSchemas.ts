/** Creates the schemas with which an `HttpApi` declares, encodes and decodes the errors of a scheme. */
import * as Duration from "effect/Duration"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import { answer } from "../../core/answer.ts"
import type * as Challenge from "../../core/Challenge.ts"
import * as response from "../../core/response.ts"
import {
  AuthorizationServerUnavailable,
  FailedCheck,
  InsufficientScope,
  InsufficientUserAuthentication,
  InvalidDpopProof,
  InvalidRequest,
  InvalidToken,
  isSecurityError,
  NotAuthenticated,
  type SecurityError,
  UseDpopNonce
} from "../../core/SecurityError.ts"
import { exampleErrors } from "../../core/exampleErrors.ts"
import { own } from "../../core/lib/ownProperties.ts"

/** Schemas of a scheme's errors by tag, for the OpenAPI document and the typed client of an `HttpApi`. */
export type ErrorSchemasByTag = {
  readonly [Tag in SecurityError["_tag"]]: Schema.Codec<Extract<SecurityError, { readonly _tag: Tag }>, unknown>
}

/** Schemas of a scheme's errors as a tuple, for the type of a requirement. */
export type ErrorSchemas = readonly [
  ErrorSchemasByTag["NotAuthenticated"],
  ErrorSchemasByTag["InvalidRequest"],
  ErrorSchemasByTag["InvalidToken"],
  ErrorSchemasByTag["InvalidDpopProof"],
  ErrorSchemasByTag["UseDpopNonce"],
  ErrorSchemasByTag["InsufficientScope"],
  ErrorSchemasByTag["FailedCheck"],
  ErrorSchemasByTag["InsufficientUserAuthentication"],
  ErrorSchemasByTag["AuthorizationServerUnavailable"]
]

const mark = "~effect-oauth2/ErrorSchema"

/** Returns `true` if a schema is an error schema of a scheme. */
export const isOurs = (schema: Schema.Top): boolean => settingsOf(schema) !== undefined

/** Returns the challenge settings of the scheme that an error schema belongs to. */
export const settingsOf = (schema: Schema.Top): Challenge.Settings | undefined =>
  own(SchemaAST.resolve(schema.ast), mark) as Challenge.Settings | undefined

/** Returns the `detail` in the body of the error that an error schema of a scheme declares. */
export const detailOf = (schema: Schema.Top): string | undefined => {
  const settings = settingsOf(schema)
  const error = own(exampleErrors, String(own(SchemaAST.resolve(schema.ast), "identifier")))
  return settings === undefined || !isSecurityError(error) ? undefined : answer(error, settings).body.detail
}

/** Creates the schemas of a scheme whose challenges have the given settings. */
export const make = (settings: Challenge.Settings): ErrorSchemasByTag => {
  /**
   * `example` gives the status and the detail. `received` creates the error of a typed client from the response's
   * header.
   */
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
          decode: ({ headers }) => response.markAsUpstream(received(headers[header] ?? "")),
          encode: (error) => {
            if (response.isFromUpstream(error)) throw response.uncaughtUpstreamError
            // If user code created the error, respond as this scheme does without required scopes.
            return { body, headers: answer(error, response.responseOf(error)?.settings ?? settings).headers }
          }
        }
      )
    )
  }

  return {
    NotAuthenticated: declare(exampleErrors.NotAuthenticated, "www-authenticate", received.NotAuthenticated),
    InvalidRequest: declare(exampleErrors.InvalidRequest, "www-authenticate", received.InvalidRequest),
    InvalidToken: declare(exampleErrors.InvalidToken, "www-authenticate", received.InvalidToken),
    InvalidDpopProof: declare(exampleErrors.InvalidDpopProof, "www-authenticate", received.InvalidDpopProof),
    UseDpopNonce: declare(exampleErrors.UseDpopNonce, "www-authenticate", received.UseDpopNonce),
    InsufficientScope: declare(exampleErrors.InsufficientScope, "www-authenticate", received.InsufficientScope),
    FailedCheck: declare(exampleErrors.FailedCheck, "www-authenticate", received.FailedCheck),
    InsufficientUserAuthentication: declare(
      exampleErrors.InsufficientUserAuthentication,
      "www-authenticate",
      received.InsufficientUserAuthentication
    ),
    AuthorizationServerUnavailable: declare(
      exampleErrors.AuthorizationServerUnavailable,
      "retry-after",
      received.AuthorizationServerUnavailable
    )
  }
}

/** Create the errors of typed clients from the challenge, or from the seconds of `Retry-After`. */
export const received = {
  NotAuthenticated: (challenge: string) => new NotAuthenticated({ reason: "Unspecified", challenge }),
  InvalidRequest: (challenge: string) => new InvalidRequest({ reason: "Unspecified", challenge }),
  InvalidToken: (challenge: string) => new InvalidToken({ reason: "Unspecified", challenge }),
  InvalidDpopProof: (challenge: string) => new InvalidDpopProof({ reason: "Unspecified", challenge }),
  UseDpopNonce: (challenge: string) => new UseDpopNonce({ reason: "Unspecified", challenge }),
  InsufficientScope: (challenge: string) =>
    new InsufficientScope({ required: scopesOf(challenge), missing: [], challenge }),
  FailedCheck: (challenge: string) => new FailedCheck({ checks: [], challenge }),
  InsufficientUserAuthentication: (challenge: string) => {
    const params = stepUpOf(challenge)
    const seconds = valueOf(params, "max_age") ?? ""
    return new InsufficientUserAuthentication({
      reason: "Unspecified",
      acrValues: valueOf(params, "acr_values")?.split(" ") ?? [],
      ...(isSeconds(seconds) ? { maxAge: Duration.seconds(Number(seconds)) } : {}),
      required: valueOf(params, "scope")?.split(" ") ?? [],
      missing: [],
      challenge
    })
  },
  AuthorizationServerUnavailable: (seconds: string) =>
    new AuthorizationServerUnavailable({
      reason: "Unspecified",
      retryAfter: Duration.seconds(isSeconds(seconds) ? Number(seconds) : 1)
    })
}

const isSeconds = (value: string): boolean => /^\d{1,10}$/.test(value)

// If several schemes sent challenges, use the parameters that follow this error. The next challenge begins with the name
// of its scheme, which no `=` follows.
const stepUpOf = (challenge: string): string =>
  /error="insufficient_user_authentication"((?:, [a-z_]+="[^"]*")*)/.exec(challenge)?.[1] ?? ""

const valueOf = (params: string, name: string): string | undefined =>
  new RegExp(`, ${name}="([^"]*)"`).exec(params)?.[1]

// If several schemes sent challenges, use the insufficient_scope challenge. A scope contains neither quotation marks
// nor backslashes (RFC 6750 §3), so the parameter ends at the next quotation mark.
const scopesOf = (challenge: string): ReadonlyArray<string> => {
  const scope =
    /error="insufficient_scope", scope="([^"]*)"/.exec(challenge) ?? /(?:^|[ ,])scope="([^"]*)"/.exec(challenge)
  return scope?.[1]?.split(" ") ?? []
}
