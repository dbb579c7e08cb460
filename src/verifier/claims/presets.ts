/** Recognizes the issuers of well-known providers, so that the log names the function of `Provider` to use. */

// Hosts that only the provider's own tenants have, and the paths of Keycloak and authentik, which run on any host.
const presets: ReadonlyArray<readonly [name: string, issuer: RegExp]> = [
  ["auth0", /\.auth0\.com\/$/],
  ["okta", /\.okta(preview|-emea)?\.com(\/oauth2\/\w+)?$/],
  ["keycloak", /\/realms\/[^/]+$/],
  ["entra", /^https:\/\/(login\.microsoftonline\.(com|us)|login\.partner\.microsoftonline\.cn|sts\.windows\.net)\//],
  ["cognito", /^https:\/\/cognito-idp\.[\w-]+\.amazonaws\.com(\.cn)?\//],
  ["zitadel", /\.zitadel\.cloud$/],
  ["authentik", /\/application\/o\/[^/]+\/$/],
  ["clerk", /^https:\/\/clerk\.|\.clerk\.accounts\.dev$/],
  ["workos", /^https:\/\/api\.workos\.com/],
  ["pingOne", /^https:\/\/auth\.pingone\./],
  ["supabase", /\.supabase\.co\//],
  ["firebase", /^https:\/\/securetoken\.google\.com\//],
  ["cloudflareAccess", /\.cloudflareaccess\.com$/],
  ["githubActions", /^https:\/\/token\.actions\.githubusercontent\.com/]
]

/** Returns a sentence that begins with a space, or an empty text if the issuer is not recognized. */
export const adviceOnPreset = (issuer: string): string => {
  const preset = presets.find(([, pattern]) => pattern.test(issuer))
  return preset === undefined ? "" : ` Provider.${preset[0]} returns the options for this issuer.`
}
