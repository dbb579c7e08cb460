// Fails if npm would publish an unexpected file, or if a public module has no entry in `exports`.
import { execFileSync } from "node:child_process"
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, sep } from "node:path"

interface Manifest {
  readonly exports: Readonly<Record<string, string | null | Readonly<Record<string, string>>>>
}

interface Pack {
  readonly files: ReadonlyArray<{ readonly path: string }>
}

const allowed =
  /^(?:dist\/.+\.(?:js|d\.ts)(?:\.map)?|src\/.+\.ts|package\.json|README\.md|LICENSE|CHANGELOG\.md|SECURITY\.md)$/

const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as Manifest
// npm is a batch file on Windows, which only a shell runs.
const shell = process.platform === "win32"
const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { encoding: "utf8", shell })
const [pack] = JSON.parse(output) as readonly [Pack]
const packed = new Set(pack.files.map(({ path }) => path))

const targets = Object.values(exports)
  .flatMap((entry) => (entry === null ? [] : typeof entry === "string" ? [entry] : Object.values(entry)))
  .map((target) => target.replace("./", ""))
// A public module has a PascalCase name and lies directly in a folder of src. The folder `testing` is one entry.
const sources = globSync("src/*/*.ts")
  .map((path) => path.split(sep).join("/"))
  .filter((path) => /^[A-Z]/.test(basename(path)) && !path.startsWith("src/testing/"))
const documents = ["README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"].filter((file) => existsSync(file))

const problems = [
  ...[...packed]
    .filter((path) => !allowed.test(path))
    .map((path) => `npm would publish ${path}, which users do not need.`),
  ...[...targets, ...documents]
    .filter((path) => !packed.has(path))
    .map((path) => `npm would not publish ${path}, which users need.`),
  ...sources
    .filter((path) => !targets.includes(path))
    .map((path) => `${path} has no entry in the exports of package.json.`)
]

if (problems.length > 0) {
  process.exitCode = 1
  process.stderr.write(`${problems.join("\n")}\n`)
}
