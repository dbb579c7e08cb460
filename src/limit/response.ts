/** Describes the response to a client with too many failed authentications, for OpenAPI documents. */

export const response = {
  description: "Too many failed authentications",
  headers: { "retry-after": { required: true, schema: { type: "string" } } },
  content: {
    "application/json": {
      schema: {
        type: "object",
        properties: { detail: { type: "string", enum: ["Too many failed authentications"] } },
        required: ["detail"],
        additionalProperties: false
      }
    }
  }
}
