/**
 * The client that the conformance suite of MCP runs, with the URL of a server as the last argument. The variable
 * `MCP_CONFORMANCE_CONTEXT` has the credentials of a scenario. The exit code is 1 if the client refuses the server.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Redacted, Schema } from "effect"
import { McpClient, McpProtocol } from "effect/ai"
import { FetchHttpClient, HttpClient } from "effect/http"
import {
  AssertionGrant,
  ClientAuthentication,
  ClientCredentials,
  ClientRegistration,
  type ResourceClient
} from "effect-oauth2/client"
import { importPKCS8 } from "jose"
import * as Client from "../../scratchpad/mcp-client/Client.ts"

const Text = Schema.optionalKey(Schema.String)
const Context = Schema.Struct({
  client_id: Text,
  client_secret: Text,
  private_key_pem: Text,
  signing_algorithm: Text,
  issuer: Text,
  idp_client_id: Text,
  idp_id_token: Text,
  idp_issuer: Text,
  valid_jwt: Text
})

const {
  MCP_CONFORMANCE_CONTEXT: given = "{}",
  MCP_CONFORMANCE_PROTOCOL_VERSION: version,
  MCP_CONFORMANCE_SCENARIO: scenario = ""
} = process.env
const context = Schema.decodeUnknownSync(Schema.fromJsonString(Context))(given)
const secret = (text = "") => Redacted.make(text)

const clientCredentials = Effect.fnUntraced(function* ({ resource, scopes, server }: ResourceClient.Authorization) {
  const { client_id: clientId = "", client_secret, private_key_pem: pem = "", signing_algorithm = "" } = context
  const authentication =
    client_secret === undefined
      ? ClientAuthentication.privateKeyJwt(yield* Effect.promise(() => importPKCS8(pem, signing_algorithm)))
      : ClientRegistration.secretFor(server, secret(client_secret))
  return yield* ClientCredentials.make({ ...server, clientId, authentication, resource, scopes })
})

const workload = ({ resource, scopes, server }: ResourceClient.Authorization) =>
  AssertionGrant.make({
    ...server,
    clientId: context.client_id ?? "",
    authentication: ClientAuthentication.none,
    assertion: Effect.succeed(secret(context.valid_jwt)),
    resource,
    scopes
  })

const identityAssertion = Effect.fnUntraced(function* ({ resource, scopes, server }: ResourceClient.Authorization) {
  const assertion = yield* AssertionGrant.identityAssertion({
    issuer: context.idp_issuer ?? "",
    clientId: context.idp_client_id ?? "",
    authentication: ClientAuthentication.none,
    idToken: Effect.succeed(secret(context.idp_id_token)),
    audience: server.issuer,
    resource,
    scopes
  })
  return yield* AssertionGrant.make({
    ...server,
    clientId: context.client_id ?? "",
    authentication: ClientRegistration.secretFor(server, secret(context.client_secret)),
    assertion,
    resource,
    scopes
  })
})

/** The user of the scenarios is signed in already, so opening the page redirects to the client. */
const user = Effect.map(HttpClient.HttpClient, (client): Client.User => ({
  show: () => Effect.void,
  open: (url) => HttpClient.followRedirects(client).get(url)
}))

const interactive = Effect.gen(function* () {
  const { client_id: clientId = "", client_secret: text, issuer } = context
  return Client.signIn(
    yield* ClientRegistration.make({
      ...(issuer !== undefined && { clients: { [issuer]: { clientId, authentication: secret(text) } } }),
      document: { url: "https://conformance-test.local/client-metadata.json" },
      register: Client.metadata
    }),
    yield* user
  )
})

const authorizations = {
  "auth/client-credentials-jwt": clientCredentials,
  "auth/client-credentials-basic": clientCredentials,
  "auth/enterprise-managed-authorization": identityAssertion,
  "auth/wif-jwt-bearer": workload
}

const url = process.argv.at(-1) ?? ""
const protocol = version === "2026-07-28" ? McpProtocol.v2026_07_28 : McpProtocol.v2025_11_25

const calls = Effect.gen(function* () {
  const client = yield* McpClient.McpClient
  const [tool] = yield* client.listTools()
  if (tool !== undefined) yield* client.callTool({ tool, arguments: {} })
})

const program = Effect.gen(function* () {
  const authorize = Object.hasOwn(authorizations, scenario)
    ? authorizations[scenario as keyof typeof authorizations]
    : yield* interactive
  yield* Effect.provide(calls, Client.layer({ url, protocol }, authorize))
})

program.pipe(Effect.scoped, Effect.provide(Layer.fresh(FetchHttpClient.layer)), NodeRuntime.runMain)
