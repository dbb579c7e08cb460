/** Decides which `iss` values mean the issuer: one, several forms of it, or one for each allowed tenant. */
import * as Effect from "effect/Effect"
import { refuseOption } from "../../core/refuseOption.ts"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import type { Claims } from "./strictJson.ts"

/** Returns the issuer of a token that has the claims, or `undefined` if `iss` is not accepted. */
export type IssuerOf = (claims: Claims) => string | undefined

interface Options {
  readonly issuer: string
  readonly issuerAliases?: ReadonlyArray<string>
  readonly tenants?: ReadonlyArray<string> | ((tenant: string) => boolean)
  readonly tenantClaim?: string
}

const placeholder = "{tenantid}"

// A tenant becomes part of a URL, so it must not add segments to it.
const tenantForm = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

const isText = (value: unknown): value is string => typeof value === "string" && value !== "" && value.trim() === value

export const make = ({
  issuer,
  issuerAliases = [],
  tenantClaim = "tid",
  tenants
}: Options): Effect.Effect<IssuerOf, ConfigurationError> => {
  if (!Array.isArray(issuerAliases) || !issuerAliases.every(isText)) {
    return refuseOption("issuerAliases", "must be a list of iss values, without surrounding white space")
  }
  const isPattern = typeof issuer === "string" && issuer.includes(placeholder)
  if (!isPattern) {
    if (tenants !== undefined) {
      return refuseOption(
        "tenants",
        `must be set only if the issuer contains ${placeholder}, such as https://login.microsoftonline.com/${placeholder}/v2.0`
      )
    }
    const accepted: ReadonlySet<unknown> = new Set([issuer, ...issuerAliases])
    return Effect.succeed((claims) => (accepted.has(claims["iss"]) ? issuer : undefined))
  }
  if (issuerAliases.length > 0)
    return refuseOption("issuerAliases", `must be empty if the issuer contains ${placeholder}`)
  if (!isText(tenantClaim)) return refuseOption("tenantClaim", "must be the name of the claim that names the tenant")
  // A function of a JavaScript program may return another value, such as a promise. It allows nothing.
  const isAllowed: ((tenant: string) => unknown) | undefined =
    typeof tenants === "function" ? tenants : allowListOf(tenants)
  if (isAllowed === undefined) {
    return refuseOption(
      "tenants",
      "must list the IDs of the tenants that may use this API, or be a function that returns true for them. Otherwise, everyone with a tenant could create tokens for this API"
    )
  }
  return Effect.succeed((claims) => {
    const tenant = claims[tenantClaim]
    if (typeof tenant !== "string" || !tenantForm.test(tenant)) return
    // A function as the replacement, because a text could contain patterns such as "$&".
    const named = issuer.replace(placeholder, () => tenant)
    return claims["iss"] === named && isAllowed(tenant) === true ? named : undefined
  })
}

const allowListOf = (tenants: unknown): ((tenant: string) => boolean) | undefined => {
  if (!Array.isArray(tenants) || tenants.length === 0) return
  if (!tenants.every((tenant) => typeof tenant === "string" && tenantForm.test(tenant))) return
  const allowed: ReadonlySet<string> = new Set(tenants)
  return (tenant) => allowed.has(tenant)
}
