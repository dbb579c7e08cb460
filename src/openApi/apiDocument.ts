/** `OAuth2.openApi`: the security of an api, in its document. */
import * as Context from "effect/Context"
import type * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as endpoints from "../guard/decision/place.ts"
import { isOurs } from "../guard/scheme/errorSchemas.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"
import * as openApiDocument from "./document.ts"
import * as refusalResponses from "./refusalResponses.ts"
import { declare, ofDemand } from "./securityRequirements.ts"

/**
 * Writes the security of an api into its document: the schemes with their declared scopes, and for each operation what is enforced there. It keeps
 * a transformation that the api has already.
 *
 * **Gotchas**
 *
 * Call it last, and on the outermost api: what is added to the api afterwards is not seen, and an api that is added to another one (`addHttpApi`) leaves its
 * document behind. It writes before a transformation (`OpenApi.Transform`) of the api's own does; an operation that it does not find throws a `TypeError`.
 *
 * **Example** (A document that tells the truth)
 *
 * ```ts import.meta.vitest
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
 * import { OAuth2 } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items" }
 * })
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .pipe(OAuth2.openApi)
 *
 * OpenApi.fromApi(Api).paths["/items"]?.get?.security // => [{ OAuth2: ["items:read"] }]
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const openApi = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>
): HttpApi.HttpApi<Id, Groups> => {
  const schemes = new Map<string, Scheme>()
  const guarded: Array<openApiDocument.SecuredOperation> = []
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint, errors, mergedAnnotations, successes }) => {
      const { demand } = endpoints.Guarded.of(endpoint)
      if (demand.length === 0 || Context.get(mergedAnnotations, OpenApi.Exclude)) return
      declare(schemes, demand)
      guarded.push({
        method: endpoint.method,
        path: endpoint.path,
        security: ofDemand(demand),
        refusals: refusalResponses.of(demand),
        rendered: refusalResponses.renderedStatuses(demand),
        declared: statusesOf(errors, (schemas) => schemas.some(isOurs)),
        others: new Set([
          ...statusesOf(errors, (schemas) => !schemas.every(isOurs)),
          ...statusesOf(successes, () => true)
        ])
      })
    }
  })
  const previous = Context.getOrUndefined(api.annotations, OpenApi.Transform)
  return api.annotate(OpenApi.Transform, (document) => {
    const transformed = (document: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
      previous === undefined ? document : previous(document)
    return openApiDocument.isDocument(document)
      ? openApiDocument.withSchemes(transformed(openApiDocument.secure(document, guarded)), schemes)
      : transformed(document)
  })
}

const statusesOf = (
  responses: ReadonlyMap<number, ReadonlyArray<Schema.Top>>,
  filter: (schemas: ReadonlyArray<Schema.Top>) => boolean
): ReadonlySet<string> =>
  new Set(Array.from(responses).flatMap(([status, schemas]) => (filter(schemas) ? [String(status)] : [])))
