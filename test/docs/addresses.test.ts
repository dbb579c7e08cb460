// The package has no public address yet, so no text may depend on one. CONTRIBUTING.md lists what to fill in later.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join, sep } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const files = globSync(["*.md", "docs/**/*.md", "src/**/*.ts", "scratchpad/**/*.ts", "package.json"], { cwd: root })
  .map((path) => path.split(sep).join("/"))
  .toSorted()

/** Addresses with the name of the package: on npm, on a CDN, of a repository, or of a badge. */
const addressesIn = (text: string): ReadonlyArray<string> =>
  text.match(/(?:https?:\/\/|git@|git\+|www\.)[^\s)"'`]*effect-oauth2[^\s)"'`]*/g) ?? []

/** Images of a page that another server sends, such as badges. */
const remoteImagesIn = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/!\[[^\]]*\]\((https?:[^)]*)\)|<img[^>]*src="(https?:[^"]*)"/g), ([image]) => image)

/** Commands that install the package from a registry, where it is not. */
const installsIn = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/^```sh\n([^]*?)^```/gm), ([, code = ""]) => code)
    .flatMap((code) => code.split("\n"))
    .filter((line) =>
      /\b(?:npm|pnpm|yarn|bun|deno)\b.*\s(?:install|i|add)\s(?:.*\s)?effect-oauth2(?:@\S+)?(?:\s|$)/.test(line)
    )

describe("before the first publication", () => {
  it("no page, docstring or manifest has an address of this package", () => {
    for (const file of files) assert.deepStrictEqual(addressesIn(read(file)), [], file)
    const manifest = JSON.parse(read("package.json")) as object
    for (const key of ["repository", "homepage", "bugs"]) assert.notProperty(manifest, key)
  })

  it("no page has a badge, or another image that another server sends", () => {
    for (const file of files.filter((file) => file.endsWith(".md"))) {
      assert.deepStrictEqual(remoteImagesIn(read(file)), [], file)
    }
  })

  it("no page installs the package from a registry, and README.md installs it from a checkout", () => {
    for (const file of files.filter((file) => file.endsWith(".md"))) {
      assert.deepStrictEqual(installsIn(read(file)), [], file)
    }
    assert.include(read("README.md"), "npm install ../effect-oauth2/effect-oauth2-0.1.0.tgz")
  })

  it("SECURITY.md names the recipient of a report without an address", () => {
    assert.include(read("SECURITY.md"), "privately to the people who gave you the package")
  })

  it("CONTRIBUTING.md lists what to fill in", () => {
    const [section = ""] = /^## How to publish for the first time\n[^]*?(?=^## )/m.exec(read("CONTRIBUTING.md")) ?? []
    for (const place of [
      "`repository`",
      "`homepage`",
      "`bugs`",
      "the address for reports",
      "links and the picture of `README.md`",
      "badges",
      `"Install" in \`README.md\``,
      `"Install" in \`docs/getting-started.md\``
    ]) {
      assert.include(section, place)
    }
  })
})

describe("the test of addresses", () => {
  it("finds addresses, badges and commands", () => {
    assert.lengthOf(
      addressesIn("[a](https://www.npmjs.com/package/effect-oauth2) git@example.com:a/effect-oauth2.git"),
      2
    )
    assert.deepStrictEqual(addressesIn("`effect-oauth2/OAuth2`, ../effect-oauth2/effect-oauth2-0.1.0.tgz"), [])
    assert.lengthOf(remoteImagesIn('![CI](https://example.com/badge.svg) <img src="https://example.com/a.png">'), 2)
    assert.deepStrictEqual(remoteImagesIn("![Page](docs/swagger-ui.png) [a](https://example.com)"), [])
    assert.lengthOf(installsIn("```sh\nnpm install effect effect-oauth2@^0.1.0\n```\n"), 1)
    assert.deepStrictEqual(installsIn("```sh\nnpm install ../effect-oauth2/effect-oauth2-0.1.0.tgz effect\n```\n"), [])
  })
})
