/** The command `items`: signs a user in, calls the API with the user's token, and signs the user out. */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import {
  AuthorizedClient,
  ClientAuthentication,
  DeviceAuthorization,
  LoopbackLogin,
  RefreshToken,
  TokenSource,
  TokenStore
} from "effect-oauth2/client"
import { createServer } from "node:http"
import { api, issuer } from "../support/Addresses.ts"

export const registration = { issuer, clientId: "items-cli", authentication: ClientAuthentication.none }
const scopes = ["me", "offline_access"]

/** Opens a page in the browser of the user, such as with `xdg-open`. */
export type OpenBrowser = (url: string) => Effect.Effect<unknown, unknown>

const loginInBrowser = (open: OpenBrowser) =>
  LoopbackLogin.signIn({
    ...registration,
    scopes,
    listen: (port) => NodeHttpServer.make(createServer, { host: "127.0.0.1", port }),
    show: (url) => Console.log(`Sign in at ${new URL(url).origin}, in the browser that opens.`),
    open
  })

/** For SSH and containers, where the browser of the user cannot reach a port of this machine. */
const loginOnDevice = (open: OpenBrowser) =>
  Effect.gen(function* () {
    const { userCode, verificationUri, wait } = yield* DeviceAuthorization.start({ ...registration, scopes })
    yield* Console.log(`Open ${verificationUri} on any device, and type ${userCode}.`)
    yield* Effect.ignore(open(`${verificationUri}?user_code=${userCode}`))
    return yield* wait
  })

const login = (open: OpenBrowser) =>
  Command.make("login", { device: Flag.Boolean("device").pipe(Flag.withDefault(false)) }, ({ device }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const source = yield* RefreshToken.make(registration)
        yield* source.save(yield* device ? loginOnDevice(open) : loginInBrowser(open))
        yield* Console.log("You are signed in.")
      })
    )
  )

const whoami = Command.make("whoami", {}, () =>
  Effect.scoped(
    Effect.gen(function* () {
      const source = yield* RefreshToken.make(registration)
      const client = yield* AuthorizedClient.make({ origins: [api] }).pipe(Effect.provideService(TokenSource, source))
      const response = yield* client.get(`${api}/users/me`)
      yield* Console.log(yield* response.text)
    })
  ).pipe(Effect.catchTag("ReauthenticationRequired", () => Console.log("You are not signed in. Run: items login")))
)

const logout = Command.make("logout", {}, () =>
  Effect.scoped(
    Effect.gen(function* () {
      const { signOut } = yield* RefreshToken.make(registration)
      yield* Console.log((yield* signOut) ? "You are signed out." : "You were not signed in.")
    })
  )
)

/** Returns the program of the command. Its tokens are in a file that only the user can read. */
export const make = (open: OpenBrowser, file: string) => {
  const run = Command.runWith(Command.make("items").pipe(Command.withSubcommands([login(open), whoami, logout])), {
    version: "1.0.0"
  })
  return (args: ReadonlyArray<string>) =>
    run(args).pipe(Effect.provide(Layer.fresh(TokenStore.layerFile({ path: file }))))
}
