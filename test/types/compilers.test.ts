// Runs the type tests with every supported compiler, including TypeScript 7, which tstyche does not support.
// Each compiler must report exactly the messages behind `@ts-expect-error`. `tstyche.d.ts` checks relations of types.
import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { afterAll, beforeAll } from "vitest"

const root = join(import.meta.dirname, "..", "..")
// sessions.tst.ts needs relations between calls, which tstyche.d.ts cannot express.
const sources = globSync("*.ts", { cwd: import.meta.dirname, exclude: ["*.test.ts", "sessions.tst.ts"] })
const tests = sources.filter((name) => name.endsWith(".tst.ts")).toSorted()
const directive = /^(\s*\/\/ )@ts-expect-error (.*)$/

/** Packages of the compilers, by the version that each must have. */
const compilers = { "5.9": "typescript-5.9", "6.0": "@typescript/old", "7.0": "typescript" }

interface Message {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly text: string
}

/** Parses the output of `--pretty false`. Further lines of a message are indented. */
const messages = (output: string): ReadonlyArray<Message> =>
  output
    .split(/\n(?! |$)/)
    .filter((text) => text.trim() !== "")
    .map((text) => {
      const [, file = "", line = "0"] = /^(.*)\((\d+),\d+\): error TS/.exec(text) ?? []
      return { file: basename(file), line: Number(line), text: text.trim() }
    })

/** Matches like tstyche: `...` stands for any text. */
const matches = (message: string, expected: string): boolean => {
  let position = 0
  return expected.split("...").every((part) => {
    const found = message.indexOf(part, position)
    position = found + part.length
    return found >= 0
  })
}

/** Returns `true` for a message of this library, which is the last line of the compiler's message. */
const isSentence = (expected: string): boolean => /^(?:A handler|The endpoint|The route|OAuth2\.)/.test(expected)

let folder = ""

beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "effect-oauth2-types-")))
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "junction")
  mkdirSync(join(folder, "types"))
  for (const name of sources) {
    // Without its directives, the compiler reports the suppressed errors. Line numbers stay the same.
    const text = readFileSync(join(import.meta.dirname, name), "utf8").replaceAll("@ts-expect-error", "")
    writeFileSync(join(folder, "types", name), text)
  }
  const settings = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      paths: {
        "effect-oauth2": [join(root, "src/index.ts")],
        "effect-oauth2/Mcp": [join(root, "src/mcp/Mcp.ts")],
        "effect-oauth2/client": [join(root, "src/client/index.ts")],
        "effect-oauth2/login": [join(root, "src/login/index.ts")],
        tstyche: [join(folder, "types/tstyche.d.ts")]
      }
    },
    include: ["types"]
  }
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(settings))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (...args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve) => execFile(process.execPath, args, { cwd: folder }, (_, stdout) => resolve(stdout)))

describe.each(Object.entries(compilers))("TypeScript %s", (version, name) => {
  const compiler = join(root, "node_modules", name, "bin/tsc")
  let found: ReadonlyArray<Message> = []

  beforeAll(async () => {
    assert.include(await run(compiler, "--version"), `Version ${version}.`)
    found = messages(await run(compiler, "--pretty", "false"))
  })

  it("reports no error outside of the type tests", () => {
    assert.deepStrictEqual(
      found.filter(({ file }) => !tests.includes(file)),
      []
    )
  })

  it.each(tests)("reports exactly the expected errors in %s", (name) => {
    const lines = readFileSync(join(import.meta.dirname, name), "utf8").split("\n")
    const unexpected = found.filter(({ file, line }) => file === name && !directive.test(lines[line - 2] ?? ""))
    assert.deepStrictEqual(unexpected, [])
    for (const [index, text] of lines.entries()) {
      const expected = directive.exec(text)?.[2]
      if (expected === undefined) continue
      const where = `${name}:${index + 1}`
      const reported = found.filter(({ file, line }) => file === name && line === index + 2)
      assert.lengthOf(reported, 1, where)
      const { text: whole } = reported[0]!
      const last = whole.split("\n").at(-1)!
      assert.isTrue(matches(isSentence(expected) ? last : whole, expected), `${where}: ${expected}\n\n${whole}`)
    }
  })
})
