/** The program's settings, from the environment. */
import { Config, Option } from "effect"

export interface Settings {
  /** Where the API listens, on 127.0.0.1. */
  readonly port: number
  /** Where the embedded authorization server listens. */
  readonly authorizationServerPort: number
  /** An issuer of one's own, with the audience of its tokens: then no authorization server is started. */
  readonly external: Option.Option<{ readonly issuer: string; readonly audience: string }>
}

export const settings: Config.Config<Settings> = Config.all({
  port: Config.withDefault(Config.Port("PORT"), 3000),
  authorizationServerPort: Config.withDefault(Config.Port("AUTHORIZATION_SERVER_PORT"), 3001),
  // One without the other is a mistake, so each asks for both.
  external: Config.option(
    Config.all({ issuer: Config.NonEmptyString("ISSUER"), audience: Config.NonEmptyString("AUDIENCE") })
  )
})
