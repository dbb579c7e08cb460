// Generates types and clients from our documents, compiles them, and runs the client against the server.
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import { JwtVerifier } from "effect-oauth2"
import { TestIssuer } from "effect-oauth2/testing"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { compile, generateClient, generateTypes, missing } from "../../documents/tools.ts"
import { App, secrets } from "../support/documentedApp.ts"
import { type AppName, type Document, documentOf, names, type Operation } from "../support/lintedDocuments.ts"
import { audience, layerOf } from "../support/testIssuers.ts"

const app: AppName = "an app with every kind of requirement"

/** Compiles only if the generated types say what the app says. */
const usage = `
import type { paths } from "./types.js"
import { itemsCreate, itemsFind } from "./client/index.js"

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const check = <_ extends true>() => {}

type Json<Response> = Response extends { content: { "application/json": infer Body } } ? Body : never
type Create = paths["/items"]["post"]

check<Equal<Json<Create["responses"][201]>, { id: string; name: string }>>()
check<Equal<Json<Create["requestBody"]>, { name: string }>>()
check<Equal<Json<Create["responses"][503]>, { detail: "Authorization server unavailable" }>>()
check<Equal<Json<paths["/metrics"]["get"]["responses"][401]>["detail"], "Not authenticated" | "Could not validate credentials">>()

export const name = async (): Promise<string | undefined> => (await itemsFind({ path: { id: "1" } })).data?.name
export const create = () => itemsCreate({ body: { name: "a" } })
// @ts-expect-error The path parameter is missing.
export const wrong = () => itemsFind({})
`

interface Auth {
  readonly type: string
  readonly scheme?: string
  readonly name?: string
  readonly key?: string
}

/** The functions that hey-api generates, one for each operation. */
type Sdk = Readonly<
  Record<string, (options: object) => Promise<{ readonly response: Response; readonly request: Request }>>
>

/** Names of the credentials that a request has. */
const credentialsOf = ({ headers, url }: Request): ReadonlyArray<string> =>
  [
    headers.get("authorization")?.split(" ")[0],
    headers.has("x-api-key") ? "header" : undefined,
    new URL(url).searchParams.has("key") ? "query" : undefined,
    headers.get("cookie")?.startsWith("session=") === true ? "cookie" : undefined
  ].filter((name) => name !== undefined)

const expectedOf: Readonly<Record<string, string>> = {
  Users: "Bearer",
  Device: "Bearer",
  Login: "Bearer",
  Tool: "Bearer",
  Admin: "Basic",
  HeaderKey: "header",
  QueryKey: "query",
  CookieKey: "cookie"
}

/** The scheme for which the client asks for a credential. */
const schemeOf = ({ key, name, scheme }: Auth): string =>
  key ??
  (scheme === "basic"
    ? "Admin"
    : name === "X-API-Key"
      ? "HeaderKey"
      : name === "key"
        ? "QueryKey"
        : name === "session"
          ? "CookieKey"
          : "unknown")

const inputs: Readonly<Record<string, object>> = {
  itemsFind: { path: { id: "1" } },
  itemsRemove: { path: { id: "1" } },
  itemsCreate: { body: { name: "a" } },
  rename: { path: { id: "1" }, body: { name: "a" } }
}

describe.runIf(missing().length === 0)("a generated client", { timeout: 60_000 }, () => {
  let folder = ""
  let problems = ""
  let document: Document
  let sdk: Sdk
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "effect-oauth2-documents-"))
    for (const [index, name] of names.entries()) {
      const written = await documentOf(name)
      const to = join(folder, name === app ? "app" : `other-${index}`)
      await mkdir(to)
      await generateClient(written, join(to, "client"))
      await generateTypes(written, join(to, "types.ts"))
      if (name === app) {
        document = written
        await writeFile(join(to, "usage.ts"), usage)
      }
    }
    problems = await compile(folder)
    sdk = (await import(pathToFileURL(join(folder, "dist", "app", "client", "sdk.gen.js")).href)) as Sdk
  }, 120_000)
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const operations = (): ReadonlyArray<readonly [name: string, operation: Operation]> =>
    Object.values(document.paths)
      .flatMap((item) => Object.values(item))
      .map((operation) => [
        operation.operationId.replaceAll(/\.(.)/g, (_, letter: string) => letter.toUpperCase()),
        operation
      ])

  const successOf = ({ responses }: Operation): number =>
    Number(Object.keys(responses).find((status) => status.startsWith("2")))

  class Server extends Context.Service<
    Server,
    {
      readonly baseUrl: string
      readonly mint: (scopes: ReadonlyArray<string>) => Effect.Effect<string>
    }
  >()("test/Server") {
    static readonly layer = Layer.effect(
      Server,
      Effect.gen(function* () {
        const issuer = yield* TestIssuer
        const { address } = yield* HttpServer.HttpServer
        const port = NetAddress.isInetAddress(address) ? address.port : 0
        return { baseUrl: `http://127.0.0.1:${port}`, mint: (scopes) => issuer.mint({ scopes, audience }) }
      })
    ).pipe(
      Layer.provide(
        HttpRouter.serve(App, { disableLogger: true, disableListenLog: true }).pipe(
          Layer.provide(Layer.unwrap(Effect.map(TestIssuer, ({ issuer }) => JwtVerifier.layer({ issuer, audience }))))
        )
      ),
      Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" })),
      Layer.provide(layerOf())
    )
  }

  /** Calls an operation with the credentials that `auth` returns. */
  const call = (name: string, auth: (auth: Auth) => string | undefined) =>
    Effect.flatMap(Server, ({ baseUrl }) =>
      Effect.promise(async () => {
        const { request, response } = await sdk[name]!({ ...inputs[name], baseUrl, auth })
        return { status: response.status, sent: credentialsOf(request) }
      })
    )

  const live = (name: string, test: () => Effect.Effect<void, never, Server>) =>
    it.live(name, () => Effect.provide(test(), Server.layer))

  it("compiles with TypeScript 5.9 in strict mode, and so do the types of openapi-typescript", () => {
    assert.strictEqual(problems, "")
  })

  it("has a function for each operation", () => {
    assert.deepStrictEqual(
      operations().map(([name]) => typeof sdk[name]),
      operations().map(() => "function")
    )
    assert.isAtLeast(operations().length, 16)
  })

  live("sends exactly the credentials of each alternative of each operation, which the server accepts", () =>
    Effect.gen(function* () {
      const { mint } = yield* Server
      for (const [name, operation] of operations()) {
        for (const alternative of operation.security?.length ? operation.security : [{}]) {
          const credentials = new Map<string, string>([
            ["Admin", secrets.admin],
            ["HeaderKey", secrets.header],
            ["QueryKey", secrets.query],
            ["CookieKey", secrets.cookie]
          ])
          // A token has the scopes of the alternative and no others.
          for (const scheme of ["Users", "Device", "Login", "Tool"]) {
            credentials.set(scheme, yield* mint(alternative[scheme] ?? []))
          }
          const { sent, status } = yield* call(name, (auth) => {
            const scheme = schemeOf(auth)
            return Object.hasOwn(alternative, scheme) ? credentials.get(scheme) : undefined
          })
          const message = `${name} ${JSON.stringify(alternative)}`
          const expected = Object.keys(alternative).map((scheme) => expectedOf[scheme])
          assert.sameMembers([...sent], expected as Array<string>, message)
          assert.strictEqual(status, successOf(operation), message)
        }
      }
    })
  )

  live("gets 401 without credentials, except from operations that are public or optional", () =>
    Effect.gen(function* () {
      const open: Array<string> = []
      for (const [name, operation] of operations()) {
        const { sent, status } = yield* call(name, () => undefined)
        assert.deepStrictEqual(sent, [], name)
        const { security = [] } = operation
        const isOpen = security.length === 0 || security.some((one) => Object.keys(one).length === 0)
        assert.strictEqual(status, isOpen ? successOf(operation) : 401, name)
        if (isOpen) open.push(name)
      }
      assert.sameMembers(open, ["greeting", "health", "jobsStatus"])
    })
  )

  live("sends a token to operations of a scheme that has only the device flow", () =>
    Effect.gen(function* () {
      const { mint } = yield* Server
      const token = yield* mint(["watch"])
      assert.deepStrictEqual(yield* call("films", () => token), { status: 200, sent: ["Bearer"] })
    })
  )
})
