/**
 * Makes the API reference from the docstrings. `npm ci --prefix reference` installs TypeDoc, and so does `.ci/run`.
 *
 * TypeDoc does not run with the TypeScript of this repository, so this folder has its own TypeScript. The tools are
 * loaded late and without their types, so that `npm run check:types` succeeds without them.
 */
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { basename, dirname, join, posix, sep } from "node:path"
import { pathToFileURL } from "node:url"

interface Reflection {
  name: string
  inheritedFrom?: unknown
  overwrites?: unknown
  typeHierarchy?: unknown
  readonly children?: ReadonlyArray<Reflection>
  readonly signatures?: ReadonlyArray<Reflection>
  readonly getSignature?: Reflection
  readonly type?: { readonly declaration?: Reflection }
}

interface Project extends Reflection {
  readonly removeReflection: (reflection: Reflection) => void
}

interface Application {
  readonly convert: () => Promise<Project | undefined>
  readonly converter: {
    readonly on: (event: "resolveBegin", listener: (context: { readonly project: Project }) => void) => void
  }
  readonly generateOutputs: (project: unknown) => Promise<void>
  readonly logger: { readonly hasErrors: () => boolean }
}

interface TypeDoc {
  readonly Application: { readonly bootstrapWithPlugins: (options: object) => Promise<Application> }
}

const root = join(import.meta.dirname, "..")

/** Where the reference is. */
export const folder = join(root, "docs/reference")

/** Packages that are not installed. Outside of CI, the test of the reference is skipped without them. */
export const missing = (): ReadonlyArray<string> => {
  const absent = ["typedoc", "typedoc-plugin-markdown", "typescript"].filter(
    (name) => !existsSync(join(import.meta.dirname, "node_modules", name, "package.json"))
  )
  if (absent.length === 0 || process.env["CI"] !== "true") return absent
  throw new Error(`${absent.join(", ")} are missing. Run npm ci --prefix reference.`)
}

/** Files of the entry points in `package.json`, without the entry point that repeats the others. */
const entryPoints = (): ReadonlyArray<string> =>
  Array.from(
    readFileSync(join(root, "package.json"), "utf8").matchAll(/"@effect-oauth2\/source": "\.\/(src\/.*)"/g),
    ([, file = ""]) => join(root, file)
  ).filter((file) => file !== join(root, "src/index.ts"))

/** Name of the page of an entry point. Some file systems cannot have `login.md` and `Login.md` in one folder. */
export const nameOf = (file: string): string => {
  const name = basename(file.replace(/\/index\.ts$/, ""), ".ts")
  return file.endsWith("login/index.ts") ? `${name}-entry` : name
}

/** TypeDoc names a module by its path, and an index by its folder. */
const pageNameOf = (module: string): string => (/(?:^|\/)login$/.test(module) ? "login-entry" : nameOf(module))

/** `Requirement/README.md` becomes `Requirement.md`, and a namespace of it `Requirement.Item.md`. */
const pageOf = (path: string): string =>
  path
    .replaceAll(sep, "/")
    .replace(/\/README\.md$/, ".md")
    .replace("/namespaces/", ".")

const notice = "`npm run reference` writes this page from the docstrings in `src`. [All modules](../README.md#modules)."

/** The docstring of a module, which stands before its imports. TypeDoc reads it only with a tag. */
const introductionOf = (page: string): string => {
  const file = entryPoints().find((file) => nameOf(file) === page) ?? ""
  const [, documentation = ""] = /^\/\*\*([^]*?)\*\/\n(?:import|export)/.exec(file && readFileSync(file, "utf8")) ?? []
  return documentation
    .replace(/^\s*\* ?/gm, "")
    .replace(/^@since.*$/gm, "")
    .trim()
}

const pageText = (file: string, text: string): string =>
  `${text
    .replace(
      /\]\(([\w./-]*\w\.md)(#[\w-]*)?\)/g,
      (_, path: string, anchor = "") => `](${pageOf(posix.join(dirname(file), path))}${anchor})`
    )
    .replace(/^#+ Since\n\n0\.1\.0$/gm, "")
    .replace(/^\*\*\*$/gm, "---")
    .replace(/\n{3,}/g, "\n\n")
    .replace(/^(# .*)$/m, `$1\n\n${notice}\n\n${introductionOf(pageOf(file).replace(/\.md$/, ""))}\n`)
    .trim()}\n`

const eachOf = (reflection: Reflection, visit: (child: Reflection) => void): void => {
  const { children = [], getSignature, signatures = [], type } = reflection
  for (const child of [...children, ...signatures, getSignature, type?.declaration]) {
    if (child === undefined) continue
    eachOf(child, visit)
    visit(child)
  }
}

/** Removes the constructors and the hidden members that every service and every error of Effect has. */
const removeInherited = (project: Project): void =>
  eachOf(project, (reflection) => {
    if (reflection.name === "constructor" || reflection.name.startsWith("~")) project.removeReflection(reflection)
  })

/** Removes the expressions that name the base classes of services and errors. */
const removeBaseClasses = (project: Project): void =>
  eachOf(project, (reflection) => {
    delete reflection.inheritedFrom
    delete reflection.overwrites
    delete reflection.typeHierarchy
  })

/** Returns the pages by their file names. */
export const makeReference = async (): Promise<ReadonlyMap<string, string>> => {
  const load = createRequire(join(import.meta.dirname, "package.json"))
  const typedoc = (await import(pathToFileURL(load.resolve("typedoc")).href)) as TypeDoc
  const out = mkdtempSync(join(tmpdir(), "reference-"))
  try {
    const app = await typedoc.Application.bootstrapWithPlugins({
      plugin: [load.resolve("typedoc-plugin-markdown")],
      tsconfig: join(root, "tsconfig.json"),
      entryPoints: entryPoints(),
      basePath: root,
      readme: "none",
      out,
      router: "module",
      excludeExternals: true,
      excludeInternal: true,
      excludePrivate: true,
      disableSources: true,
      hideBreadcrumbs: true,
      hidePageHeader: true,
      useCodeBlocks: true,
      parametersFormat: "table",
      typeDeclarationFormat: "table",
      logLevel: "Error",
      // The compiler of the repository checks the sources.
      skipErrorChecking: true,
      validation: { notExported: false, invalidLink: false },
      pageTitleTemplates: { module: "{name}" }
    })
    app.converter.on("resolveBegin", ({ project }) => removeInherited(project))
    const project = await app.convert()
    for (const module of project?.children ?? []) module.name = pageNameOf(module.name)
    if (project === undefined) throw new Error("TypeDoc cannot read the sources.")
    removeBaseClasses(project)
    await app.generateOutputs(project)
    if (app.logger.hasErrors()) throw new Error("TypeDoc reports errors.")
    const files = globSync("**/*.md", { cwd: out }).filter((file) => file !== "README.md")
    return new Map(
      files.map((file) => [pageOf(file), pageText(file.replaceAll(sep, "/"), readFileSync(join(out, file), "utf8"))])
    )
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}
