/**
 * A command that signs a user in, in the browser or on another device. Run `npm run example -- cli`.
 *
 * The issuer is `TestIssuer`, where the user is signed in already, so its pages redirect at once. The "browser" of this
 * example is a request.
 */
import { NodeHttpServer, NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { FetchHttpClient, HttpClient, HttpRouter, HttpServerResponse } from "effect/http"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import type { KeychainEntry } from "effect-oauth2/client"
import { TestIssuer } from "effect-oauth2/testing"
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { audience, authorizationServerPort, host, issuer, port } from "../support/Addresses.ts"
import * as Cli from "./Cli.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/authorize`,
  tokenUrl: `${issuer}/token`,
  scopes: { me: "Read your profile" }
})

const Api = HttpRouter.serve(
  HttpRouter.add(
    "GET",
    "/users/me",
    Effect.map(auth.token, ({ subject }) => HttpServerResponse.text(`You are ${subject}.`))
  ).pipe(auth.require("me"), OAuth2.secured),
  { disableLogger: true, disableListenLog: true }
).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port, host })),
  Layer.provide(auth.layer(JwtVerifier.layer({ issuer, audience })))
)

const Issuer = TestIssuer.serve({
  audience,
  // The tests of the issuer know this client: a public one, with any loopback port.
  clients: [{ clientId: Cli.registration.clientId, redirectUris: [`http://${host}/callback`] }]
}).pipe(Layer.provide(NodeHttpServer.layer(createServer, { port: authorizationServerPort, host })))

/**
 * A keychain in memory, because this example runs also on servers. A command passes
 * `new AsyncEntry("items", issuer)` of the package `@napi-rs/keyring`.
 */
const secrets = new Map<string, string>()
const keychain: KeychainEntry = {
  getPassword: () => secrets.get("items"),
  setPassword: (password) => void secrets.set("items", password),
  deletePassword: () => secrets.delete("items")
}

const program = Effect.gen(function* () {
  const { approveDevice } = yield* TestIssuer
  const client = HttpClient.followRedirects(yield* HttpClient.HttpClient)
  /** The user opens the page, and is redirected to the command, or approves the device. */
  const browser: Cli.OpenBrowser = (url) => {
    const userCode = new URL(url).searchParams.get("user_code")
    return userCode === null ? client.get(url) : approveDevice(userCode)
  }
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "items-"))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true }))
  )
  const file = join(directory, "items", "tokens.json")
  const run = Cli.make({ open: browser, file, entry: keychain })
  const items = (command: string) => Effect.andThen(Console.log(`\n$ items ${command}`), run(command.split(" ")))
  yield* items("whoami")
  yield* items("login")
  yield* Console.log(`The mode of the file is ${(statSync(file).mode & 0o777).toString(8)}.`)
  yield* items("whoami")
  yield* items("logout")
  yield* items("whoami")
  yield* items("login --device")
  yield* items("whoami")
  yield* items("logout")
  yield* items("login --keychain")
  yield* Console.log(`The file contains a readable token: ${readFileSync(`${file}.keychain`, "utf8").includes("eyJ")}`)
  yield* items("whoami")
  yield* items("logout")
}).pipe(Effect.scoped)

program.pipe(
  Effect.provide(Layer.provideMerge(Api, Issuer)),
  Effect.provide([FetchHttpClient.layer, NodeServices.layer]),
  NodeRuntime.runMain
)
