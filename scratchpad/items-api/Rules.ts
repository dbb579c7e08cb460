/** How the tokens of your own issuer are verified: by the rules of its provider, or by those of a profile. */
import { Effect } from "effect"
import { type JwtVerifier, Provider } from "effect-oauth2"
import { BadSetting } from "./Settings.ts"

export type Profile = NonNullable<JwtVerifier.Options["profile"]>

type Rules = (issuer: string, audience: string) => JwtVerifier.Options | undefined

/** Reads the parts of an issuer that the function of a provider needs. */
const from = (form: RegExp, rules: (parts: ReadonlyArray<string>, audience: string) => JwtVerifier.Options): Rules => {
  return (issuer, audience) => {
    const match = form.exec(issuer)
    return match === null ? undefined : rules(match.slice(1), audience)
  }
}

const guid = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

const providers: Readonly<Record<string, Rules>> = {
  auth0: from(/^https:\/\/([^/]+)\/$/, ([domain = ""], audience) => Provider.auth0({ domain, audience })),
  authentik: from(/^(https?:\/\/.+)\/application\/o\/([^/]+)\/$/, ([url = "", application = ""], clientId) =>
    Provider.authentik({ url, application, clientId })
  ),
  cognito: from(
    /^https:\/\/(issuer-)?cognito-idp\.([^.]+)\.[^/]+\/([^/]+)$/,
    ([updated, region = "", pool = ""], client) =>
      Provider.cognito({
        region,
        userPoolId: pool,
        clientId: client,
        issuer: updated === undefined ? "original" : "updated"
      })
  ),
  duende: (issuer, audience) => Provider.duende({ issuer, audience, machineClients: true }),
  entra: (issuer, audience) =>
    from(new RegExp(`^https://sts\\.windows\\.net/${guid}/$`), ([tenant = ""]) =>
      Provider.entra({ tenant, audience, version: "1.0" })
    )(issuer, audience) ??
    from(
      new RegExp(
        `^https://login\\.(microsoftonline\\.com|microsoftonline\\.us|partner\\.microsoftonline\\.cn)/${guid}/v2\\.0$`
      ),
      ([host = "", tenant = ""]) =>
        Provider.entra({
          tenant,
          audience,
          cloud: host.endsWith("us") ? "us" : host.endsWith("cn") ? "china" : "global"
        })
    )(issuer, audience),
  hydra: (issuer, audience) => Provider.hydra({ issuer, audience }),
  keycloak: from(/^(https?:\/\/.+)\/realms\/([^/]+)$/, ([url = "", realm = ""], audience) =>
    Provider.keycloak({ url, realm: decodeURIComponent(realm), audience })
  ),
  logto: from(/^https:\/\/([^/]+)\/oidc$/, ([domain = ""], audience) => Provider.logto({ domain, audience })),
  oidc: (issuer, audience) => Provider.oidc({ issuer, audience }),
  okta: from(/^https:\/\/([^/]+)\/oauth2\/([^/]+)$/, ([domain = "", server = ""], audience) =>
    Provider.okta({ domain, authorizationServer: server, audience })
  ),
  pingOne: from(new RegExp(`^https://([^/]+)/${guid}/as$`), ([domain = "", environmentId = ""], audience) =>
    Provider.pingOne({ domain, environmentId, audience, machineClients: true })
  ),
  zitadel: from(/^https:\/\/([^/]+)$/, ([domain = ""], projectId) => Provider.zitadel({ domain, projectId }))
}

const profiles: ReadonlyArray<Profile> = ["at+jwt", "jwt", "id-token"]

/** Returns the options of the verifier, or fails if a setting does not fit the issuer. */
export const make = Effect.fnUntraced(function* (
  issuer: string,
  audience: string,
  provider: string | undefined,
  profile: string | undefined
) {
  const known = profiles.find((name) => name === profile)
  if (profile !== undefined && known === undefined) {
    return yield* new BadSetting({ setting: "PROFILE", must: `one of ${profiles.join(", ")}` })
  }
  const override = known === undefined ? {} : { profile: known }
  if (provider === undefined) return { issuer, audience, ...override }
  const rules = Object.hasOwn(providers, provider) ? providers[provider] : undefined
  if (rules === undefined) {
    return yield* new BadSetting({ setting: "PROVIDER", must: `one of ${Object.keys(providers).join(", ")}` })
  }
  // The functions throw if a part of the issuer has another form.
  const options = yield* Effect.try({
    try: () => rules(issuer, audience),
    catch: (error) => new BadSetting({ setting: "ISSUER", must: `an issuer of ${provider}: ${String(error)}` })
  })
  if (options?.issuer !== issuer) {
    return yield* new BadSetting({
      setting: "ISSUER",
      must: `the exact issuer of ${provider}, as its metadata names it, including a trailing slash`
    })
  }
  return { ...options, ...override }
})
