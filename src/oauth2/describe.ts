/** Defines `OAuth2.describe`, which puts a requirement into words. */
import * as registry from "../guard/requirement/registry.ts"
import * as words from "../guard/requirement/words.ts"
import type { SecurityRequirementTypes } from "../guard/middleware/securityRequirement.ts"

/**
 * Describes a requirement in words.
 *
 * **When to use**
 *
 * Use for logs, for tests, and for pages that list what each route requires.
 *
 * **Details**
 *
 * The description contains scopes, checks and schemes. A `TypeError` is thrown if the argument is not a requirement.
 *
 * `OAuth2.secured` around a layer of routes logs the description of each route at start-up, at the level `Debug`.
 *
 * **Example** (Describing a requirement)
 *
 * ```ts import.meta.vitest
 * import { OAuth2, Requirement } from "effect-oauth2"
 *
 * const auth = OAuth2.authorizationCode("OAuth2", {
 *   authorizationUrl: "https://idp.example.com/authorize",
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { "items:read": "Read your items", "items:write": "Modify your items", admin: "Do everything" }
 * })
 * const edit = auth.require("items:read", Requirement.any("items:write", "admin"))
 *
 * OAuth2.describe(edit) // => 'a token of the scheme "OAuth2" with "items:read" and ("items:write" or "admin")'
 * ```
 *
 * @category accessors
 * @since 0.1.0
 */
export const describe = (requirement: SecurityRequirementTypes<string, never, unknown, unknown>): string => {
  const policy = registry.policyOfKey(requirement)
  if (policy !== undefined) return words.describe(policy)
  throw new TypeError(
    "OAuth2.describe: the argument is not a requirement. Pass the result of auth.require, auth.optional or OAuth2.either."
  )
}
