/** Reads how an `HttpApi` responds to an error of a schema. These functions of `HttpApiSchema` are not in its types. */
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import type * as Schema from "effect/Schema"

/** The encoding of a body. */
export interface Encoding {
  readonly _tag: "Json" | "FormUrlEncoded" | "Uint8Array" | "Text"
  readonly contentType: string
}

interface Internal {
  readonly getStatusErrorSchema: (schema: Schema.Top) => number
  readonly getResponseEncodingSchema: (schema: Schema.Top) => Encoding
  readonly isNoContent: (ast: Schema.Top["ast"]) => boolean
}

const internal = HttpApiSchema as unknown as Internal

/** Returns the status that the schema declares, or 500. */
export const statusOf = (schema: Schema.Top): number => internal.getStatusErrorSchema(schema)

/** Returns the encoding of the body. `undefined` if the response has no body. */
export const encodingOf = (schema: Schema.Top): Encoding | undefined =>
  internal.isNoContent(schema.ast) ? undefined : internal.getResponseEncodingSchema(schema)
