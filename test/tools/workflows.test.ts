// The workflows run the commands of `.ci/run`, on every version of Node that the package supports.
import { assert, describe, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

interface Step {
  readonly uses?: string
  readonly run?: string
}

interface Workflow {
  readonly on: object
  readonly jobs: Readonly<
    Record<
      string,
      {
        readonly strategy: {
          readonly matrix: { readonly os: ReadonlyArray<string>; readonly node: ReadonlyArray<string> }
        }
        readonly steps: ReadonlyArray<Step>
      }
    >
  >
}

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>
  readonly engines: Readonly<Record<string, string>>
}

const files = globSync(".github/workflows/*.yml", { cwd: root })
// The parser throws if the text is not YAML, or if a key occurs twice.
const workflow = parse(read(".github/workflows/test.yml")) as Workflow
const { engines, scripts } = JSON.parse(read("package.json")) as Manifest

const commands = Object.values(workflow.jobs)
  .flatMap(({ steps }) => steps)
  .flatMap(({ run = "" }) => run.split("\n"))
  .map((line) => line.trim())

/** Scripts that a text runs with `npm run`. */
const scriptsIn = (text: string) => Array.from(text.matchAll(/\bnpm run ([\w:]+)/g), ([, name = ""]) => name)

/** Folders whose packages a text installs. The repository itself is ".". */
const foldersIn = (text: string) =>
  Array.from(text.matchAll(/\bnpm ci\b([^\n&|;]*)/g), ([, options = ""]) => /--prefix (\S+)/.exec(options)?.[1] ?? ".")

describe("the workflows", () => {
  it("are one file, with a job for each version of Node and each system", () => {
    assert.lengthOf(files, 1)
    const [{ strategy }] = Object.values(workflow.jobs) as [Workflow["jobs"][string]]
    assert.deepStrictEqual(strategy.matrix, {
      os: ["ubuntu-latest", "macos-latest", "windows-latest"],
      node: ["22.19", "24", "26"]
    })
    assert.strictEqual(`>=${strategy.matrix.node[0]}.0`, engines["node"])
    assert.include(strategy.matrix.node, read(".nvmrc").trim())
  })

  it("run scripts of package.json, and the scripts that .ci/run runs", () => {
    const named = commands.flatMap(scriptsIn)
    assert.deepStrictEqual(
      named.filter((name) => scripts[name] === undefined),
      []
    )
    assert.deepStrictEqual(named, scriptsIn(read(".ci/run")))
  })

  it("install the packages of the folders that .ci/run installs", () => {
    const folders = commands.flatMap(foldersIn)
    for (const folder of folders) assert.isTrue(existsSync(join(root, folder, "package-lock.json")), folder)
    const [, names = ""] = /^for folder in (.*); do$/m.exec(read(".ci/run")) ?? []
    assert.deepStrictEqual(folders, [".", ...names.split(" ")])
  })

  it("install on Linux what .ci/run installs, except for Chromium, which the image of the system has", () => {
    const [, names = ""] = /^debian_packages=\((.*)\)$/m.exec(read(".ci/run")) ?? []
    const installed = commands.flatMap((command) => /^sudo apt-get install (.*)/.exec(command)?.[1]?.split(" ") ?? [])
    assert.deepStrictEqual(
      installed.filter((word) => !word.startsWith("--")),
      names.split(" ").filter((name) => name !== "chromium")
    )
    assert.isTrue(commands.some((command) => command.includes("CHROMIUM_PATH=/usr/bin/google-chrome")))
  })

  it("use only commands that exist in the shells of all systems", () => {
    const portable = commands.filter((command) => command !== "" && !/^npm (?:ci|run)\b/.test(command))
    // Only the step for Linux has other commands.
    assert.deepStrictEqual(
      portable.map((command) => command.split(" ")[0]),
      ["sudo", "sudo", "echo"]
    )
  })
})
