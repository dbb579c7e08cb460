/** The program's settings, from the environment. */
import { Config, Effect, Option, Schema } from "effect"

export interface Settings {
  /** Where the API listens, on 127.0.0.1. */
  readonly port: number
  /** Where the embedded authorization server listens. */
  readonly authorizationServerPort: number
  /** Where browsers find the API, when a proxy stands before it. */
  readonly publicUrl: Option.Option<URL>
  /** An issuer of one's own, with the audience of its tokens: then no authorization server is started. */
  readonly external: Option.Option<{ readonly issuer: string; readonly audience: string }>
}

export class BadSetting extends Schema.TaggedError<BadSetting>()("BadSetting", {
  setting: Schema.String,
  must: Schema.String
}) {
  override get message() {
    return `${this.setting} must be ${this.must}`
  }
}

// Not 0: the port is part of what the program prints and of the tokens' audience.
const port = (name: string, otherwise: number) =>
  Config.schema(
    Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 1, maximum: 65535 })),
    name
  ).pipe(
    Config.withDefault(otherwise),
    Effect.mapError(() => new BadSetting({ setting: name, must: "a port: a whole number from 1 to 65535" }))
  )

const url = (name: string) =>
  Config.option(Config.URL(name)).pipe(
    Effect.mapError(() => new BadSetting({ setting: name, must: "a URL such as https://example.com/prefix" }))
  )

const optional = (name: string) =>
  Config.option(Config.NonEmptyString(name)).pipe(
    Effect.mapError(() => new BadSetting({ setting: name, must: "a non-empty string" }))
  )

export const settings: Effect.Effect<Settings, BadSetting> = Effect.gen(function* () {
  const issuer = yield* optional("ISSUER")
  const audience = yield* optional("AUDIENCE")
  if (Option.isSome(issuer) !== Option.isSome(audience)) {
    return yield* new BadSetting({ setting: "ISSUER and AUDIENCE", must: "set together, or neither" })
  }
  if (Option.exists(issuer, (text) => !URL.canParse(text))) {
    return yield* new BadSetting({ setting: "ISSUER", must: "a URL such as https://idp.example.com" })
  }
  const apiPort = yield* port("PORT", 3000)
  const authorizationServerPort = yield* port("AUTHORIZATION_SERVER_PORT", 3001)
  if (Option.isNone(issuer) && apiPort === authorizationServerPort) {
    return yield* new BadSetting({ setting: "PORT and AUTHORIZATION_SERVER_PORT", must: "different ports" })
  }
  return {
    port: apiPort,
    authorizationServerPort,
    publicUrl: yield* url("PUBLIC_URL"),
    external: Option.all({ issuer, audience })
  }
})
