/** Services that a requirement provides to tools, the errors of finding them, and batches without `Mcp.protect`. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import { McpProtocol, McpServer, Tool, Toolkit } from "effect/ai"
import { HttpClient, HttpClientResponse } from "effect/http"
import { HttpApi, HttpApiClient, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { OAuth2, SecurityError } from "effect-oauth2"
import * as Mcp from "effect-oauth2/Mcp"
import { begin, callOf, info, metadata, send, served, serverOf, Verifier } from "../support/mcpServer.ts"

const { auth, ran, Registrations } = serverOf("rfc6750")

class Team extends Context.Service<Team, string>()("test/Team") {}

const billing = OAuth2.bearer("Billing", { scopes: { charge: "" } })
const Billing = HttpApi.make("billing").add(
  HttpApiGroup.make("g")
    .add(HttpApiEndpoint.get("charge", "/charge", { success: Schema.String }))
    .middleware(billing.require("charge"))
)
const upstream = HttpClient.make((request) =>
  Effect.succeed(
    HttpClientResponse.fromWeb(
      request,
      Response.json(
        { detail: "Could not validate credentials" },
        { status: 401, headers: { "www-authenticate": 'Bearer scope="charge"' } }
      )
    )
  )
)
/** Fails with the error that a typed client receives from an upstream server. */
const charge = Effect.flatMap(
  HttpApiClient.makeWith(Billing, { httpClient: upstream, baseUrl: "https://billing.example.com" }),
  (client) => client.g.charge()
).pipe(Effect.catch((error) => (SecurityError.isSecurityError(error) ? Effect.fail(error) : Effect.die(error))))

const member = Mcp.require(
  auth.require("files:read").provide(
    Team,
    Effect.flatMap(auth.token, ({ subject }) => {
      if (subject === "upstream") return charge
      return subject === "unknown"
        ? Effect.fail(new SecurityError.InvalidToken({ reason: "Rejected" }))
        : Effect.succeed(`team of ${subject}`)
    })
  )
)
const Tools = Toolkit.make(Tool.make("team", { success: Schema.String, dependencies: [member.grant] }))

const Server = McpServer.layerHttp({
  ...info,
  path: "/mcp",
  protocols: [McpProtocol.v2025_03_26],
  registrations: Layer.merge(
    Registrations,
    McpServer.toolkit(Tools).pipe(
      Layer.provide(Tools.toLayer({ team: () => Effect.map(Team, (team) => team) })),
      Layer.provide(member.layer)
    )
  )
}).pipe(Layer.provide(auth.require("mcp").route.layer), OAuth2.secured, Layer.provide(auth.layer(Verifier)))

layer(served(Server))("an MCP server without Mcp.protect", (it) => {
  const call = (subject: string) =>
    Effect.gen(function* () {
      const token = `${subject}~mcp+files_read`
      return yield* send(token, callOf("team"), yield* begin(token, "2025-03-26"))
    })

  it.effect("gives tools the service of a requirement", () =>
    Effect.gen(function* () {
      const { messages, status } = yield* call("alice")
      assert.strictEqual(status, 200)
      assert.include(messages[0].result.content[0].text, "team of alice")
    })
  )

  it.effect("refuses a call if the look-up of the service refuses the token", () =>
    Effect.gen(function* () {
      const { challenge, messages, status } = yield* call("unknown")
      assert.deepStrictEqual(
        [status, challenge, messages[0].error.code],
        [401, `Bearer error="invalid_token", scope="mcp files:read", ${metadata}`, -32001]
      )
    })
  )

  it.effect("does not repeat the refusal of an upstream server", () =>
    Effect.gen(function* () {
      const { challenge, messages, status } = yield* call("upstream")
      assert.deepStrictEqual([status, challenge, messages[0].error.code], [200, null, -32603])
      assert.notInclude(JSON.stringify(messages), "credentials")
    })
  )

  it.effect("names the scopes of all refused calls of a batch in one challenge", () =>
    Effect.gen(function* () {
      const session = yield* begin("alice~mcp", "2025-03-26")
      ran.length = 0
      const { challenge, messages, status } = yield* send("alice~mcp", [callOf("write"), callOf("wipe")], session)
      assert.deepStrictEqual(
        [status, challenge, ran],
        [403, `Bearer error="insufficient_scope", scope="mcp files:read files:write admin", ${metadata}`, []]
      )
      assert.sameMembers(
        messages.map(({ error }) => error.data.scope),
        ["mcp admin", "mcp files:read files:write"]
      )
    })
  )
})
