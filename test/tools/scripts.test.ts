// Package scripts run in sh and in the shell of Windows, and say what to do if Node is too old.
import { assert, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"

interface Manifest {
  readonly scripts?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly engines?: Readonly<Record<string, string>>
}

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const manifest = (file: string) => JSON.parse(read(file)) as Manifest

const manifests = globSync(["package.json", "*/package.json"], { cwd: root, exclude: ["node_modules/**"] })
const scripts = manifests.flatMap((file) =>
  Object.entries(manifest(file).scripts ?? {}).map(([name, script]) => ({ name: `${file} ${name}`, script }))
)

/** Each command of a script, without its arguments in double quotes: both shells pass these on as they are. */
const commands = (script: string): ReadonlyArray<string> =>
  script
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '""')
    .split(/&&|\|\|/)
    .map((command) => command.trim())

const unportable: Readonly<Record<string, RegExp>> = {
  "a variable before the command": /^\w+=/,
  "a command that only sh has":
    /^(?:exec|export|source|set|test|true|false|sleep|rm|cp|mv|mkdir|touch|cat|ls|grep|sed|sh|bash|env)\b/,
  "a path as the command": /^\.{0,2}\//,
  "single quotes": /'/,
  "a variable or a substitution": /[$`]/,
  "a pattern that the shell expands": /[*?~]/,
  "an escape": /\\/,
  "several commands without && between them": /[;&\n]/,
  "a file of POSIX": /\/dev\//
}

const problems = (script: string): ReadonlyArray<string> =>
  Object.keys(unportable).filter((name) => commands(script).some((command) => unportable[name]!.test(command)))

describe("package scripts", () => {
  it.each(scripts)("$name runs in the shell of Windows too", ({ script }) => {
    assert.deepStrictEqual(problems(script), [])
  })

  it.each([
    ["A=1 node a.js", "a variable before the command"],
    ["node a.js && A=1 node b.js", "a variable before the command"],
    ["exec node a.js", "a command that only sh has"],
    ["rm -rf dist && tsc", "a command that only sh has"],
    ["./a.js", "a path as the command"],
    ["node -e 'f()'", "single quotes"],
    ["node a.js $HOME", "a variable or a substitution"],
    ["prettier --check src/*.ts", "a pattern that the shell expands"],
    ["node a\\ b.js", "an escape"],
    ["node a.js; node b.js", "several commands without && between them"],
    ["node a.js & node b.js", "several commands without && between them"],
    ["node a.js > /dev/null", "a file of POSIX"]
  ])("%s is found", (script, problem) => {
    assert.deepStrictEqual(problems(script), [problem])
  })

  it.each([`node -e "fs.rmSync('dist', { force: true })" && tsc`, `echo "a; b & $c"`, "npm run a:b -- --c=d"])(
    "%s is not found",
    (script) => assert.deepStrictEqual(problems(script), [])
  )
})

describe("the scripts that a document names", () => {
  const documents = globSync(["*.md", "docs/**/*.md", "scratchpad/README.md"], { cwd: root, exclude: ["CHANGELOG.md"] })
  const names = Object.keys(manifest("package.json").scripts ?? {})

  it.each(documents)("%s: are in package.json", (file) => {
    const named = Array.from(read(file).matchAll(/\bnpm run ([\w:]+)/g), ([, name]) => name)
    assert.deepStrictEqual(
      named.filter((name) => !names.includes(name!)),
      []
    )
  })
})

const folder = mkdtempSync(join(tmpdir(), "effect-oauth2-scripts-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a program after `tools/node-version.cjs`, in a process that takes itself for a version of Node. */
const runOn = (version: string) => {
  const disguise = join(folder, `${version}.cjs`)
  writeFileSync(
    disguise,
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: ${JSON.stringify(version)} } })`
  )
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    ["-r", disguise, "-r", join(root, "tools/node-version.cjs"), "-p", "1"],
    { encoding: "utf8" }
  )
  return { status, stderr, stdout }
}

describe("a Node that is too old", () => {
  const installed = Number(read(".nvmrc"))

  it.each(["20.20.2", "22.18.9"])("ends a script with one sentence that says what to do: %s", (version) => {
    assert.deepStrictEqual(runOn(version), {
      status: 1,
      stdout: "",
      stderr:
        `This repository needs Node 22.19 or later, but this is Node ${version}: run "npm ci --ignore-scripts=false", ` +
        `which installs Node ${installed} into node_modules, or install Node ${installed} yourself.\n`
    })
  })

  it("is older than the versions that the package supports", () => {
    assert.strictEqual((JSON.parse(read("package.json")) as Manifest).engines?.["node"], ">=22.19.0")
  })

  it.each(["22.19.0", "22.20.0", "23.0.0", "26.2.3", "100.0.0"])("is not %s", (version) => {
    assert.deepStrictEqual(runOn(version), { status: 0, stdout: "1\n", stderr: "" })
  })

  it("is older than the Node that npm ci installs", () => {
    assert.strictEqual(/^\^(\d+)\./.exec(manifest("package.json").devDependencies?.["node"] ?? "")?.[1], `${installed}`)
  })

  it.each(scripts.filter(({ script }) => script.startsWith("node ")))("is noticed by $name", ({ script }) => {
    assert.match(script, /^node -r \.\/tools\/node-version\.cjs /)
  })

  it.each(["start", "test", "check", "bench", "test:unit"])("is noticed by npm run %s", (name) => {
    const first = (script: string): string => {
      const next = /^npm run ([\w:]+)/.exec(script)?.[1]
      return next === undefined ? script : first(manifest("package.json").scripts![next]!)
    }
    assert.match(first(`npm run ${name}`), /^node -r \.\/tools\/node-version\.cjs /)
  })
})

describe("a program that npm started", () => {
  it("ends when the shell around it ends", async () => {
    const program = `process.stdout.write("started"); setTimeout(() => {}, 30_000)`
    const args = JSON.stringify(["-r", join(root, "tools/end-with-npm.cjs"), "-e", program])
    const shell = spawn(
      process.execPath,
      ["-e", `child_process.spawn(process.execPath, ${args}, { stdio: "inherit" })`],
      { stdio: ["ignore", "pipe", "inherit"] }
    )
    await once(shell.stdout, "data")
    shell.kill("SIGKILL")
    // The program has the same output, which closes when both have ended.
    await once(shell, "close")
  })
})
