/** Adds the requirement of an operation to its description, because Swagger UI does not show the required scopes. */
import * as Context from "effect/Context"
import type { RequirementPolicy } from "../guard/requirement/policy.ts"
import * as sentence from "../guard/requirement/sentence.ts"
import type { Json } from "../core/lib/json.ts"

/**
 * Annotation of an `HttpApi`, a group or an endpoint. If `false`, `OAuth2.openApi` does not describe requirements.
 *
 * **When to use**
 *
 * Use when you describe the requirements of your operations yourself.
 *
 * **Details**
 *
 * The default is `true`: the description of an operation ends with a sentence such as "Requires `items:read`." or
 * "Authentication is optional." The sentence does not name custom checks. For routes, set the option
 * `describeRequirements` of `documented`.
 *
 * **Gotchas**
 *
 * Set the annotation before you call `OAuth2.openApi`.
 *
 * **Example** (Describing requirements yourself)
 *
 * ```ts import.meta.vitest
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
 * import { OAuth2, OpenApiSecurity } from "effect-oauth2"
 *
 * const auth = OAuth2.bearer("OAuth2", { scopes: { "items:read": "Read your items" } })
 * const Api = HttpApi.make("api")
 *   .add(HttpApiGroup.make("items").add(HttpApiEndpoint.get("list", "/items")).middleware(auth.require("items:read")))
 *   .annotate(OpenApiSecurity.DescribeRequirements, false)
 *
 * OpenApi.fromApi(OAuth2.openApi(Api)).paths["/items"]?.get?.description // => undefined
 * ```
 *
 * @see {@link documented} for routes
 * @category annotations
 * @since 0.1.0
 */
export const DescribeRequirements: Context.Reference<boolean> = Context.Reference<boolean>(
  "effect-oauth2/OpenApiSecurity/DescribeRequirements",
  { defaultValue: () => true }
)

/** Returns the operation with a description that ends with the sentence. */
export const add = (operation: Json, sentence: string | undefined): Json => {
  if (sentence === undefined) return operation
  const own = Object.hasOwn(operation, "description") ? operation["description"] : undefined
  if (typeof own !== "string" || own.trim() === "") return { ...operation, description: sentence }
  // A second `OAuth2.openApi` must not repeat the sentence.
  return own === sentence || own.endsWith(`\n\n${sentence}`)
    ? operation
    : { ...operation, description: `${own}\n\n${sentence}` }
}

/** Returns the sentence about a policy, or `undefined` if the document must not have it. */
export const sentenceOf = (policy: RequirementPolicy, isDescribed: boolean): string | undefined =>
  isDescribed ? sentence.of(policy) : undefined
