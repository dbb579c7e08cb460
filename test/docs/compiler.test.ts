// The compiler's words in the README are those that the type tests hold every compiler to.
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const quoted = Array.from(read("README.md").matchAll(/<!-- compiler -->\s+```text\n([^]*?)```/g), ([, text = ""]) =>
  text.trim()
)

/** A type test names endpoints of its own. */
const shape = (message: string) => message.replace(/`[^`]*`/g, "`…`")

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** Where compilers differ the type tests write three dots. */
const held = globSync("test/types/*.tst.ts", { cwd: root })
  .flatMap((file) => Array.from(read(file).matchAll(/@ts-expect-error (.*)/g)))
  .map(([, message = ""]) => new RegExp(shape(message).split("...").map(escaped).join(".*")))

describe("the compiler's words in the README", () => {
  it("are there", () => assert.isAtLeast(quoted.length, 3))

  for (const text of quoted) {
    it(text.slice(0, 100), () => assert.isTrue(held.some((pattern) => pattern.test(shape(text)))))
  }
})
