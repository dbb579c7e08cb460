/** `OAuth2.openApi`, which writes the security of an `HttpApi` into its document. */
import * as Context from "effect/Context"
import type * as Schema from "effect/Schema"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as OpenApi from "effect/http-api/OpenApi"
import * as endpoints from "../guard/decision/place.ts"
import { detailOf, isOurs } from "../guard/scheme/errorSchemas.ts"
import type { Scheme } from "../guard/scheme/scheme.ts"
import * as openApiDocument from "./document.ts"
import { DescribeRequirements, sentenceOf } from "./requirementDescription.ts"
import * as proofParameter from "./proofParameter.ts"
import * as refusalResponses from "./refusalResponses.ts"
import * as stepUp from "./stepUp.ts"
import { declare, ofPolicy } from "./securityRequirements.ts"

/**
 * Writes schemes, requirements and refusals of an `HttpApi` into its OpenAPI document.
 *
 * **Details**
 *
 * `openApi` keeps an existing `OpenApi.Transform` annotation, which runs after the security is written. It adds the
 * response `4XX` to operations without a response of a client error, and `servers` to a document without servers.
 *
 * The description of each operation ends with its requirement, such as "Requires `items:read` and `items:write`." The
 * annotation `OpenApiSecurity.DescribeRequirements` turns the sentence off.
 *
 * | failure | cause |
 * |---|---|
 * | `openApi` throws a `TypeError` | two schemes have one name, or an endpoint has too many alternatives |
 * | `OpenApi.fromApi` throws a `TypeError` | the document lacks an operation, or has another scheme of the same name |
 *
 * **Gotchas**
 *
 * - Call `openApi` last. Endpoints and middleware that you add later are missing from the document.
 * - Call `openApi` on the outermost api. `addHttpApi` does not copy the document of the added api.
 *
 * **Example** (Reading the requirements of an operation)
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
 * @see {@link OpenApiSecurity.documented} for routes without an `HttpApi`
 * @see {@link OpenApiSecurity.maxAlternatives} for the maximum number of alternatives
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
      const { policy } = endpoints.EndpointPolicy.of(endpoint)
      if (policy.length === 0 || Context.get(mergedAnnotations, OpenApi.Exclude)) return
      declare(schemes, policy)
      guarded.push({
        method: endpoint.method,
        path: endpoint.path,
        security: ofPolicy(policy),
        sentence: sentenceOf(policy, Context.get(mergedAnnotations, DescribeRequirements)),
        extensions: stepUp.of(policy),
        added: proofParameter.of(policy),
        refusals: refusalResponses.of(policy),
        rendered: refusalResponses.renderedStatuses(policy),
        declared: detailsOf(errors),
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
    if (!openApiDocument.isDocument(document)) return transformed(document)
    const secured = openApiDocument.withClientErrors(openApiDocument.secure(document, guarded))
    return openApiDocument.withServers(openApiDocument.withSchemes(transformed(secured), schemes))
  })
}

/** Returns the details of the refusals that the error schemas of schemes declare, by status. */
const detailsOf = (
  errors: ReadonlyMap<number, ReadonlyArray<Schema.Top>>
): ReadonlyMap<string, ReadonlyArray<string>> =>
  new Map(
    Array.from(errors).flatMap(([status, schemas]) => {
      const details = Array.from(new Set(schemas)).flatMap((schema) => detailOf(schema) ?? [])
      return details.length === 0 ? [] : [[String(status), details]]
    })
  )

const statusesOf = (
  responses: ReadonlyMap<number, ReadonlyArray<Schema.Top>>,
  filter: (schemas: ReadonlyArray<Schema.Top>) => boolean
): ReadonlySet<string> =>
  new Set(Array.from(responses).flatMap(([status, schemas]) => (filter(schemas) ? [String(status)] : [])))
