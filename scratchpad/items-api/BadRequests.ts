/** Responds to an invalid request of the `HttpApi` with 400 and a JSON body, which the document declares. */
import { Effect, Schema, SchemaIssue } from "effect"
import { HttpApiMiddleware, HttpApiSchema } from "effect/http-api"

export const BadRequest = Schema.Struct({
  detail: Schema.Literal("The request is invalid"),
  errors: Schema.Array(Schema.Struct({ path: Schema.Array(Schema.String), message: Schema.String }))
}).annotate({ identifier: "BadRequest", description: "The request is invalid" })

/** Without this middleware, Effect responds to an invalid request with an empty body. */
export class BadRequests extends HttpApiMiddleware.Service<BadRequests>()("items-api/BadRequests", {
  error: BadRequest.pipe(HttpApiSchema.status(400))
}) {
  static readonly layer = HttpApiMiddleware.layerSchemaErrorTransform(BadRequests, (error) =>
    // The other two kinds are about a response, so the client is not at fault.
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.fail(error)
      : Effect.fail({
          detail: "The request is invalid" as const,
          errors: format(error.cause.issue).issues.map(({ message, path = [] }) => ({
            path: [error.kind.toLowerCase(), ...path.map((part) => String(typeof part === "object" ? part.key : part))],
            message
          }))
        })
  )
}

const format = SchemaIssue.makeFormatterStandardSchemaV1()
