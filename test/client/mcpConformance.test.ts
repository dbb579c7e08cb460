// The conformance suite of the Model Context Protocol judges a client that the public API builds.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Semaphore } from "effect"
import { afterAll, beforeAll } from "vitest"
import { missing, type Result, run, scenarios } from "../../mcp/conformance.ts"
import { type Bundle, bundleProgram } from "../support/bundleProgram.ts"

/** The scenarios of version 0.1.16, under the names of the installed version. */
const stable = [
  "auth/metadata-default",
  "auth/metadata-var1",
  "auth/metadata-var2",
  "auth/metadata-var3",
  "auth/basic-cimd",
  "auth/scope-from-www-authenticate",
  "auth/scope-from-scopes-supported",
  "auth/scope-omitted-when-undefined",
  "auth/scope-step-up",
  "auth/scope-retry-limit",
  "auth/token-endpoint-auth-basic",
  "auth/token-endpoint-auth-post",
  "auth/token-endpoint-auth-none",
  "auth/pre-registration",
  "auth/2025-03-26-oauth-metadata-backcompat",
  "auth/2025-03-26-oauth-endpoint-fallback",
  "auth/resource-mismatch",
  "auth/offline-access-scope",
  "auth/offline-access-not-supported",
  "auth/client-credentials-jwt",
  "auth/client-credentials-basic",
  // Version 0.1.16 calls it auth/cross-app-access-complete-flow.
  "auth/enterprise-managed-authorization"
]

const newer = [
  "auth/authorization-server-migration",
  "auth/iss-supported",
  "auth/iss-not-advertised",
  "auth/iss-supported-missing",
  "auth/iss-wrong-issuer",
  "auth/iss-unexpected",
  "auth/iss-normalized",
  "auth/metadata-issuer-mismatch",
  "auth/dpop",
  "auth/dpop-nonce",
  "auth/wif-jwt-bearer"
]

/** The scenarios whose client must stop, so that it gets no token. */
const refusals = [
  "auth/resource-mismatch",
  "auth/scope-retry-limit",
  "auth/iss-supported-missing",
  "auth/iss-wrong-issuer",
  "auth/iss-unexpected",
  "auth/iss-normalized",
  "auth/metadata-issuer-mismatch"
]

describe.runIf(missing().length === 0)("a client of MCP servers", { concurrent: true, timeout: 300_000 }, () => {
  let bundle: Bundle | undefined
  beforeAll(async () => {
    // Loading one file takes a third of the time of loading the modules.
    bundle = await bundleProgram("client", "node", undefined, "test/support/mcpConformanceClient.ts")
  })
  afterAll(() => bundle?.remove())

  // Each scenario starts two processes, which mostly load modules.
  const processors = Semaphore.makeUnsafe(3)
  const runScenario = async (name: string): Promise<Result> =>
    Effect.runPromise(
      processors.withPermit(Effect.promise(() => run(name, [process.execPath, bundle?.path ?? assert.fail()])))
    )

  it("runs every scenario of the suite for the authorization of clients", async () => {
    assert.lengthOf(stable, 22)
    assert.sameMembers(Array.from(await scenarios()), [...stable, ...newer])
  })

  for (const name of [...stable, ...newer]) {
    it(`passes ${name}`, async () => {
      const { complaints, output, passed, succeeded } = await runScenario(name)
      assert.deepStrictEqual(complaints, [], output)
      assert.isTrue(passed, output)
      assert.isNotEmpty(succeeded)
      // A client that does nothing must not pass.
      if (!refusals.includes(name)) assert.notInclude(output, "Client exited with code", output)
      else assert.include(output, "Client exited with code 1")
    })
  }
})
