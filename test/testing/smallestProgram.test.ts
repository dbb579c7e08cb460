// What the smallest program of the README answers to the access tokens of each provider, and what its log says.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted } from "effect"
import { JwtVerifier, TokenVerifier } from "effect-oauth2"
import { type ProviderName, TestIssuer } from "effect-oauth2/testing"
import { rsa } from "../support/testIssuers.ts"

const audience = "https://api.test"
const tenant = "11111111-2222-3333-4444-555555555555"

/** Verifies a token of a provider. Returns the result, and the messages of the log. */
const verifyWith = Effect.fnUntraced(function* (provider: ProviderName, options: JwtVerifier.Options) {
  const key = yield* Effect.promise(() => rsa)
  const messages: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => messages.push(`${logLevel} ${String(message)}`))
  const exit = yield* Effect.gen(function* () {
    const token = yield* TestIssuer.use(({ mint }) => mint({ scopes: ["read", "write"] }))
    return yield* Effect.exit(Effect.flatMap(TokenVerifier, ({ verify }) => verify(Redacted.make(token))))
  }).pipe(
    Effect.provide(
      JwtVerifier.layer(options).pipe(
        Layer.provideMerge(TestIssuer.layer({ issuer: options.issuer, audience, provider, keys: [key] }))
      )
    ),
    Effect.provide(Logger.layer([logger]))
  )
  return { exit, messages }
})

const profile = 'set profile: "jwt".'
const accepted = undefined

/** The issuer of each provider, and what the log tells the operator to write. */
const cases: Readonly<
  Record<ProviderName, readonly [issuer: string, option: string | undefined, preset?: `Provider.${string}`]>
> = {
  auth0: ["https://example.eu.auth0.com/", profile, "Provider.auth0"],
  authentik: ["https://auth.test/application/o/items/", profile, "Provider.authentik"],
  betterAuth: ["https://app.test", profile],
  clerk: ["https://clerk.example.com", "set the audienceClaim option", "Provider.clerk"],
  cloudflareAccess: [
    "https://example.cloudflareaccess.com",
    'set profile: "jwt", and accessTokenClaims',
    "Provider.cloudflareAccess"
  ],
  cognito: [
    "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1",
    "set the audienceClaim option",
    "Provider.cognito"
  ],
  duende: ["https://id.test", accepted],
  entra: [`https://login.microsoftonline.com/${tenant}/v2.0`, profile, "Provider.entra"],
  firebase: ["https://securetoken.google.com/example-app", profile, "Provider.firebase"],
  fusionAuth: ["https://auth.test", profile],
  githubActions: [
    "https://token.actions.githubusercontent.com",
    'set profile: "jwt", and accessTokenClaims',
    "Provider.githubActions"
  ],
  google: ["https://accounts.google.com", "Use Provider.google."],
  hydra: ["https://auth.test/", profile],
  keycloak: ["https://sso.test/realms/main", profile, "Provider.keycloak"],
  kubernetes: ["https://kubernetes.test", 'set profile: "jwt", and accessTokenClaims'],
  logto: ["https://example.logto.app/oidc", accepted],
  okta: ["https://example.okta.com/oauth2/default", profile, "Provider.okta"],
  pingOne: [`https://auth.pingone.eu/${tenant}/as`, profile, "Provider.pingOne"],
  supabase: ["https://example.supabase.co/auth/v1", "set the audience option to the value that the issuer writes"],
  workos: ["https://api.workos.com/user_management/client_01HZ", "set the audienceClaim option", "Provider.workos"],
  xsuaa: ["https://example.hana.test/oauth/token", profile],
  zitadel: ["https://example.zitadel.cloud", profile, "Provider.zitadel"]
}

describe("JwtVerifier.layer({ issuer, audience })", () => {
  for (const name of Object.keys(cases) as ReadonlyArray<ProviderName>) {
    const [issuer, option, preset] = cases[name]
    it.effect(
      option === undefined
        ? `accepts the access tokens of ${name}, and logs nothing`
        : `refuses the access tokens of ${name}, and logs once: ${preset ?? option}`,
      () =>
        Effect.gen(function* () {
          const { exit, messages } = yield* verifyWith(name, { issuer, audience })
          if (option === undefined) {
            assert(Exit.isSuccess(exit))
            assert.deepStrictEqual([Array.from(exit.value.scopes), messages], [["read", "write"], []])
            return
          }
          assert(Exit.isFailure(exit))
          assert.strictEqual(messages.length, 1)
          const [message = ""] = messages
          assert.isTrue(message.startsWith("Warn "))
          assert.include(message, option)
          if (preset === undefined) assert.notMatch(message, /Provider\.\w+ returns/)
          else assert.include(message, ` ${preset} returns the options for this issuer.`)
          // The option of the message is enough.
          if (option === profile) {
            const after = yield* verifyWith(name, { issuer, audience, profile: "jwt" })
            assert(Exit.isSuccess(after.exit), JSON.stringify(after.messages))
          }
        })
    )
  }
})
