/** Reads the settings of the program from environment variables. */
import { Config, Effect, LogLevel, Option, Schema } from "effect"

export interface Settings {
  /** Port of the API on 127.0.0.1. */
  readonly port: number
  /** Port of the embedded authorization server. */
  readonly authorizationServerPort: number
  /** Minimum level of log messages. The default hides requests. */
  readonly logLevel: LogLevel.LogLevel
  /** URL of the API for browsers, if the API runs behind a proxy. */
  readonly publicUrl: Option.Option<URL>
  /** Your own issuer. If set, the embedded authorization server does not start. */
  readonly external: Option.Option<External>
}

export interface External {
  readonly issuer: string
  /** Audience of the issuer's tokens. */
  readonly audience: string
  /** Name of the provider, as in `Provider`, such as `keycloak`. */
  readonly provider: string | undefined
  /** Profile of the tokens, such as `jwt`. */
  readonly profile: string | undefined
  /** Client with which the documentation page logs in. */
  readonly docsClientId: string | undefined
}

export class BadSetting extends Schema.TaggedError<BadSetting>()("BadSetting", {
  setting: Schema.String,
  must: Schema.String
}) {
  override get message() {
    return `${this.setting} must be ${this.must}.`
  }
}

// Port 0 is not allowed: the printed commands and the audience of the tokens contain the port.
const port = (name: string, fallback: number) =>
  Config.schema(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 65535 })),
    name
  ).pipe(
    Config.withDefault(fallback),
    Effect.mapError(() => new BadSetting({ setting: name, must: "a port, an integer from 1 to 65535" }))
  )

const url = (name: string) =>
  Config.option(Config.URL(name)).pipe(
    Effect.mapError(() => new BadSetting({ setting: name, must: "a URL such as https://example.com/prefix" }))
  )

const optional = (name: string) =>
  Config.option(Config.NonEmptyString(name)).pipe(
    Effect.mapError(() => new BadSetting({ setting: name, must: "a non-empty string" }))
  )

const logLevel = Effect.gen(function* () {
  const name = yield* optional("LOG_LEVEL")
  if (Option.isNone(name)) return "Warn"
  const level = LogLevel.values.find((level) => level.toLowerCase() === name.value.toLowerCase())
  return level ?? (yield* new BadSetting({ setting: "LOG_LEVEL", must: `one of ${LogLevel.values.join(", ")}` }))
})

export const settings: Effect.Effect<Settings, BadSetting> = Effect.gen(function* () {
  const issuer = yield* optional("ISSUER")
  const audience = yield* optional("AUDIENCE")
  if (Option.isSome(issuer) !== Option.isSome(audience)) {
    return yield* new BadSetting({ setting: "ISSUER and AUDIENCE", must: "either both set or both absent" })
  }
  if (Option.exists(issuer, (text) => !URL.canParse(text))) {
    return yield* new BadSetting({ setting: "ISSUER", must: "a URL such as https://idp.example.com" })
  }
  const provider = yield* optional("PROVIDER")
  const profile = yield* optional("PROFILE")
  const docsClientId = yield* optional("DOCS_CLIENT_ID")
  const alone = Object.entries({ PROVIDER: provider, PROFILE: profile, DOCS_CLIENT_ID: docsClientId }).find(
    ([, value]) => Option.isSome(value) && Option.isNone(issuer)
  )
  if (alone !== undefined) {
    return yield* new BadSetting({ setting: alone[0], must: "set together with ISSUER and AUDIENCE" })
  }
  const apiPort = yield* port("PORT", 3000)
  const authorizationServerPort = yield* port("AUTHORIZATION_SERVER_PORT", 3001)
  if (Option.isNone(issuer) && apiPort === authorizationServerPort) {
    return yield* new BadSetting({ setting: "PORT and AUTHORIZATION_SERVER_PORT", must: "different ports" })
  }
  return {
    port: apiPort,
    authorizationServerPort,
    logLevel: yield* logLevel,
    publicUrl: yield* url("PUBLIC_URL"),
    external: Option.map(Option.all({ issuer, audience }), (external) => ({
      ...external,
      provider: Option.getOrUndefined(provider),
      profile: Option.getOrUndefined(profile),
      docsClientId: Option.getOrUndefined(docsClientId)
    }))
  }
})
