/** The command `items`: signs a user in, calls the API with the user's token, and signs the user out. */
import { NodeHttpServer } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import {
  AuthorizedClient,
  ClientAuthentication,
  type ClientError,
  DeviceAuthorization,
  type KeychainEntry,
  LoopbackLogin,
  RefreshToken,
  TokenSource,
  TokenStore
} from "effect-oauth2/client"
import { existsSync } from "node:fs"
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

export interface Options {
  readonly open: OpenBrowser
  /** File of the tokens. With a keychain, their file is beside it. */
  readonly file: string
  readonly entry: KeychainEntry
}

const keychainFile = (file: string): string => `${file}.keychain`

const storeOf = ({ entry, file }: Options, isInKeychain: boolean) =>
  isInKeychain ? TokenStore.layerKeychain({ path: keychainFile(file), entry }) : TokenStore.layerFile({ path: file })

/** A machine without a keychain, such as over SSH, is usual. The user chooses the file then: no token goes there unasked. */
const noKeychain = ({ cause }: ClientError.TokenStoreError) =>
  Console.log(`The tokens cannot be stored: ${String(cause)}. If there is no keychain, log in without --keychain.`)

const withStore = <A, E, R>(options: Options, isInKeychain: boolean, effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(effect).pipe(Effect.provide(Layer.fresh(storeOf(options, isInKeychain))))

/** Uses the store of the last login. */
const withFormerStore = <A, E, R>(options: Options, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => withStore(options, existsSync(keychainFile(options.file)), effect))

const flag = (name: string) => Flag.Boolean(name).pipe(Flag.withDefault(false))

const login = (options: Options) =>
  Command.make("login", { device: flag("device"), keychain: flag("keychain") }, ({ device, keychain }) =>
    withStore(
      options,
      keychain,
      Effect.gen(function* () {
        const source = yield* RefreshToken.make(registration)
        // A keychain that does not work is found out before the user signs in.
        const store = yield* TokenStore
        yield* store.withLock(Effect.asVoid(store.read))
        yield* source.save(yield* device ? loginOnDevice(options.open) : loginInBrowser(options.open))
        yield* withStore(
          options,
          !keychain,
          TokenStore.use(({ remove }) => Effect.ignore(remove()))
        )
        yield* Console.log(keychain ? "You are signed in, with the keychain." : "You are signed in.")
      })
    ).pipe(Effect.catchTag("TokenStoreError", noKeychain))
  )

const whoami = (options: Options) =>
  Command.make("whoami", {}, () =>
    withFormerStore(
      options,
      Effect.gen(function* () {
        const source = yield* RefreshToken.make(registration)
        const client = yield* AuthorizedClient.make({ origins: [api] }).pipe(Effect.provideService(TokenSource, source))
        const response = yield* client.get(`${api}/users/me`)
        yield* Console.log(yield* response.text)
      })
    ).pipe(Effect.catchTag("ReauthenticationRequired", () => Console.log("You are not signed in. Run: items login")))
  )

const logout = (options: Options) =>
  Command.make("logout", {}, () =>
    withFormerStore(
      options,
      Effect.gen(function* () {
        const { signOut } = yield* RefreshToken.make(registration)
        yield* Console.log((yield* signOut) ? "You are signed out." : "You were not signed in.")
      })
    )
  )

/** Returns the program of the command. */
export const make = (options: Options) =>
  Command.runWith(
    Command.make("items").pipe(Command.withSubcommands([login(options), whoami(options), logout(options)])),
    { version: "1.0.0" }
  )
