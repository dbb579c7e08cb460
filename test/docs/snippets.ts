// Compiles and runs the code blocks of README.md, of the pages in docs, and of the JSDoc comments in src.
// Each block becomes one file that keeps the line numbers, so that compiler messages point into the documentation.
import ts from "@typescript/typescript6"
import { execFile, fork } from "node:child_process"
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative, sep } from "node:path"

export interface Snippet {
  /** File that contains the block, relative to the repository. */
  readonly source: string
  /** Line of the opening fence, from 1. */
  readonly line: number
  /** Heading or `**Example** (Title)` above the block. */
  readonly title: string
  /** `true` if the block is run, with its `// =>` lines as assertions. Otherwise, the block is only compiled. */
  readonly runnable: boolean
  /** Block, after as many empty lines as there are lines above the block in the source. */
  readonly code: string
}

const root = join(import.meta.dirname, "..", "..")
const folder = join(import.meta.dirname, ".snippets")
const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
const timeout = 60_000

const posix = (path: string): string => path.split(sep).join("/")

// Returns the text of the JSDoc comments, and keeps the number of each line.
const comments = (text: string): string =>
  text
    .split(/(\/\*\*[^]*?\*\/)/)
    .map((part, index) =>
      index % 2 === 0
        ? part.replace(/[^\n]+/g, "")
        : part.replace(/\*\/$/, "").replace(/^[^\S\n]*(?:\/\*\*|\* ?)/gm, "")
    )
    .join("")

export const extract = (source: string, text: string): ReadonlyArray<Snippet> => {
  const snippets: Array<Snippet> = []
  const lines = (source.endsWith(".ts") ? comments(text) : text).split("\n")
  let title = ""
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]!
    title = /^#{1,6} (.*)$/.exec(line)?.[1] ?? /\*\*Example\*\* \((.*)\)/.exec(line)?.[1] ?? title
    const fence = /^(\s*`{3,})\s*(\S*)(.*)$/.exec(line)
    if (fence === null) continue
    const start = index + 1
    const end = lines.findIndex((other, at) => at >= start && other.trim() === fence[1]!.trim())
    if (end < 0) throw new Error(`${source}:${start}: the code block has no end`)
    index = end
    if (fence[2] !== "ts" && fence[2] !== "typescript") continue
    snippets.push({
      source,
      line: start,
      title,
      runnable: fence[3]!.trim() === "import.meta.vitest",
      code: "\n".repeat(start) + lines.slice(start, end).join("\n") + "\n"
    })
  }
  return snippets
}

export const readSnippets = (): ReadonlyArray<Snippet> =>
  // The pages in docs/reference repeat the examples of src.
  ["README.md", ...globSync(["docs/**/*.md", "src/**/*.ts"], { cwd: root, exclude: ["docs/reference/**"] }).toSorted()]
    .filter((file) => existsSync(join(root, file)))
    .flatMap((file) => extract(posix(file), readFileSync(join(root, file), "utf8")))

const arrow = "// =>"

// `f() // => 1` -> `$equal(f(), (1)) // => 1`, and `const a = f() // => 1` -> `const a = f(); $equal(a, (1)) // => 1`
export const withAssertions = (snippet: Snippet): string => {
  const file = ts.createSourceFile("snippet.ts", snippet.code, ts.ScriptTarget.Latest)
  const lineOf = (position: number): number => file.getLineAndCharacterOfPosition(position).line
  const statements = new Map<number, ts.Statement>()
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node) || ts.isVariableStatement(node)) statements.set(lineOf(node.end), node)
    ts.forEachChild(node, visit)
  }
  visit(file)
  const edits = snippet.code.split("\n").flatMap((line, index): ReadonlyArray<readonly [at: number, text: string]> => {
    const at = line.indexOf(arrow)
    if (at < 0) return []
    const expected = line.slice(at + arrow.length).trim()
    const statement = statements.get(index)
    if (statement !== undefined && ts.isExpressionStatement(statement)) {
      const { expression } = statement
      return [
        [expression.getStart(file), "$equal("],
        [expression.end, `, (${expected}))`]
      ]
    }
    if (statement !== undefined && ts.isVariableStatement(statement)) {
      const name = statement.declarationList.declarations.at(-1)!.name.getText(file)
      return [[statement.end, `; $equal(${name}, (${expected}))`]]
    }
    throw new Error(`${snippet.source}:${index + 1}: "${arrow}" follows neither an expression nor a constant`)
  })
  return edits
    .toSorted(([left], [right]) => right - left)
    .reduce((code, [at, text]) => code.slice(0, at) + text + code.slice(at), snippet.code)
}

const fileOf = (snippet: Snippet): string => join(folder, snippet.source, `${snippet.line}.ts`)

/** Returns the file name in an example's title, such as `auth.ts`: other examples can import the file. */
const sharedName = ({ title }: Snippet): string | undefined => /^`([\w.]+\.ts)`:/.exec(title)?.[1]

const write = (snippet: Snippet, shared: ReadonlyArray<Snippet>): void => {
  const file = fileOf(snippet)
  const equal = posix(relative(dirname(file), join(import.meta.dirname, "equal.ts")))
  mkdirSync(dirname(file), { recursive: true })
  for (const one of shared) {
    const name = sharedName(one) ?? ""
    if (snippet.code.includes(`"./${name}"`)) writeFileSync(join(dirname(file), name), one.code)
  }
  writeFileSync(
    file,
    snippet.runnable
      ? `${withAssertions(snippet)}import { equal as $equal } from "${equal}"\n`
      : `${snippet.code}export {}\n`
  )
}

// Replaces the path of a written file with the path of its source. Lines are equal. Columns are removed, because ` * `
// and `$equal(` shift them.
const inDocumentation = (text: string): string =>
  text.replace(
    /(?:file:\/\/)?[^\s()'"]*\.snippets[\\/]([^\s():'"]+)[\\/]\d+\.ts(?:\((\d+),\d+\)|:(\d+)(?::\d+)?)?/g,
    (_, source: string, compiler?: string, node?: string) => `${source}:${compiler ?? node ?? ""}`
  )

const compile = (): Promise<string> =>
  new Promise((resolve, reject) =>
    execFile(
      process.execPath,
      [tsc, "-p", folder, "--pretty", "false"],
      { cwd: root, timeout },
      (error, stdout, stderr) =>
        error !== null && stdout === "" ? reject(new Error(stderr, { cause: error })) : resolve(stdout)
    )
  )

const run = (files: ReadonlyArray<string>): Promise<ReadonlyMap<string, string>> =>
  new Promise((resolve) => {
    const failures = new Map(files.map((file) => [file, "the process ended before this block"]))
    let output = ""
    const child = fork(join(import.meta.dirname, "run.ts"), files, {
      cwd: root,
      execArgv: ["--conditions=@effect-oauth2/source"],
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      timeout
    })
    child.stderr?.on("data", (data) => (output += String(data)))
    child.on("message", ([file, failure]: [string, string | null]) => {
      if (failure === null) failures.delete(file)
      else failures.set(file, failure)
    })
    child.on("close", () => {
      const next = files.find((file) => failures.get(file)?.startsWith("the process ended"))
      if (next !== undefined) failures.set(next, `the process ended in this block\n${output}`)
      resolve(failures)
    })
  })

/** Compiles all snippets and runs the runnable snippets. Returns the failures, and diagnostics of other files. */
export const check = async (
  snippets: ReadonlyArray<Snippet>
): Promise<{ readonly failures: ReadonlyMap<Snippet, string>; readonly otherDiagnostics: string }> => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      extends: "../../../tsconfig.json",
      compilerOptions: { noUnusedLocals: false, noUnusedParameters: false },
      // The documentation imports a module of Cloudflare Workers.
      include: ["**/*.ts", "../../support/cloudflare.d.ts"]
    })
  )
  const failures = new Map<Snippet, string>()
  const written = new Map<string, Snippet>()
  const shared = snippets.filter((snippet) => sharedName(snippet) !== undefined)
  for (const snippet of snippets) {
    try {
      write(snippet, shared)
      written.set(fileOf(snippet), snippet)
    } catch (error) {
      failures.set(snippet, String(error))
    }
  }
  const fail = (snippet: Snippet, message: string): void => {
    failures.set(snippet, `${failures.get(snippet) ?? ""}\n${inDocumentation(message)}`)
  }
  const runnable = [...written].filter(([, snippet]) => snippet.runnable).map(([file]) => file)
  const [diagnostics, crashes] = await Promise.all([compile(), run(runnable)])
  let otherDiagnostics = ""
  for (const diagnostic of diagnostics.split(/\n(?=\S)/)) {
    const snippet = written.get(join(root, diagnostic.split("(")[0]!))
    if (snippet === undefined) otherDiagnostics += diagnostic
    else fail(snippet, diagnostic)
  }
  for (const [file, crash] of crashes) fail(written.get(file)!, crash)
  return { failures, otherDiagnostics: otherDiagnostics.trim() }
}
