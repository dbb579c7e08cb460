// Provokes the warning of each section in docs/guides/providers.md, and writes the sections if UPDATE_DOCS is set.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted, References } from "effect"
import { JwtVerifier, KeySet, Provider, TokenVerifier } from "effect-oauth2"
import { type ProviderName, TestIssuer } from "effect-oauth2/testing"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { format, resolveConfig } from "prettier"
import { type ProviderSection, providerSections } from "../support/providerSections.ts"
import { rsa } from "../support/testIssuers.ts"

const file = join(import.meta.dirname, "..", "..", "docs/guides/providers.md")
const [begin, end] = ["<!-- begin providers -->", "<!-- end providers -->"]

/** Verifies a wrong token twice. Returns the messages of the log at Warn, and their annotations. */
const provoke = Effect.fnUntraced(function* (section: ProviderSection) {
  const messages: Array<string> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    const { issuer: _, ...annotations } = fiber.getRef(References.CurrentLogAnnotations)
    const pairs = Object.entries(annotations).map(([name, value]) => ` ${name}=${String(value)}`)
    if (logLevel === "Warn" || logLevel === "Error") messages.push(`${String(message)}${pairs.join("")}`)
  })
  const { audience, imitates, options } = section
  const issuer = section.issuer ?? options.issuer
  const key = yield* Effect.promise(() => rsa)
  const secretKey = yield* TestIssuer.makeSecretKey("client", "a-client-secret-of-32-characters")
  const Issuer = TestIssuer.layer({
    issuer,
    keys: [key],
    jwksPath: "/test-keys",
    ...(section.name === "oidc" ? {} : { provider: imitates ?? (section.name as ProviderName) }),
    ...(audience === undefined ? {} : { audience })
  })
  const Verifier = JwtVerifier.layerKeySet(options).pipe(
    Layer.provide(KeySet.layerRemote({ url: `${new URL(issuer).origin}/test-keys` })),
    Layer.provideMerge(Issuer)
  )
  const program = Effect.gen(function* () {
    const { mint } = yield* TestIssuer
    const { verify } = yield* TokenVerifier
    for (const subject of ["alice", "bob"]) {
      const token = section.opaque
        ? `opaque-token-of-${subject}`
        : yield* mint({ subject, ...section.mint, ...(section.secret ? { key: secretKey } : {}) })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(verify(Redacted.make(token)))))
    }
  })
  yield* program.pipe(Effect.provide(Verifier), Effect.provide(Logger.layer([logger])), Effect.scoped)
  return messages
})

const warnings = new Map<string, string>()

const programOf = ({ argument, keys, name }: ProviderSection): string =>
  keys === undefined
    ? `import { JwtVerifier, Provider } from "effect-oauth2"

export const Verifier = JwtVerifier.layer(Provider.${name}(${argument}))`
    : `import { Layer } from "effect"
import { JwtVerifier, KeySet, Provider } from "effect-oauth2"

export const Verifier = JwtVerifier.layerKeySet(Provider.${name}(${argument})).pipe(
  Layer.provide(KeySet.layerRemote({ url: "${keys}" }))
)`

const textOf = async (section: ProviderSection): Promise<string> => {
  const options = (await resolveConfig(file)) ?? {}
  const program = await format(programOf(section), { ...options, parser: "typescript" })
  return [
    `### ${section.title}`,
    "",
    ...section.set.map((line) => `- ${line}`),
    "",
    "```ts",
    program.trim(),
    "```",
    "",
    `Claim with the scopes: ${section.scopes}.`,
    "",
    `Common mistake: ${section.mistake}. The response is then 401, and the log says:`,
    "",
    "```text",
    warnings.get(section.title) ?? "NOT PROVOKED",
    "```",
    "",
    section.fix
  ].join("\n")
}

describe("each provider", () => {
  for (const section of providerSections) {
    it.effect(`${section.title}: ${section.mistake}`, () =>
      Effect.gen(function* () {
        const messages = yield* provoke(section)
        assert.lengthOf(messages, 1, messages.join("\n"))
        warnings.set(section.title, messages[0] ?? "")
      })
    )

    it(`${section.title}: names the claim that its options read scopes from`, () => {
      const { readScopes, scopesPath } = section.options
      const claim = [scopesPath ?? []].flat(2).at(-1)
      if (claim !== undefined) assert.include(section.scopes, `\`${claim}\``)
      else if (readScopes === undefined) assert.match(section.scopes, /`scope`|`scp`|^none/)
    })
  }

  it("of Provider has a section", () => {
    assert.sameMembers(
      providerSections.map(({ name }) => name),
      // `discover` fetches URLs, and is no provider.
      Object.keys(Provider).filter((name) => name !== "discover")
    )
  })

  it("has a section in docs/guides/providers.md", async () => {
    const page = readFileSync(file, "utf8")
    const before = page.slice(0, page.indexOf(begin) + begin.length)
    const after = page.slice(page.indexOf(end))
    const sections = await Promise.all(providerSections.map(textOf))
    const links = providerSections.map(
      ({ title }) =>
        `- [${title}](#${title
          .toLowerCase()
          .replace(/[^\w -]/g, "")
          .replaceAll(" ", "-")})`
    )
    const text = `${before}\n\n${links.join("\n")}\n\n${sections.join("\n\n")}\n\n${after}`
    if (process.env["UPDATE_DOCS"] !== undefined) writeFileSync(file, text)
    assert.strictEqual(readFileSync(file, "utf8"), text)
  })
})
