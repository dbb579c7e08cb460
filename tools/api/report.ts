// Writes the report of the public API: every export of each entry point, with its type. The types come from the
// declarations that users install. The report names no files, so moving a module does not change the report.
import ts from "@typescript/typescript6"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, sep } from "node:path"
import { promisify } from "node:util"
import { format, resolveConfig } from "prettier"

interface EntryPoint {
  /** The key in `exports`, such as `./Challenge`. */
  readonly key: string
  /** What users import. */
  readonly specifier: string
  /** The file of its declarations, relative to the folder of the package. */
  readonly types: string
}

interface Export {
  readonly name: string
  readonly symbol: ts.Symbol
  /** `true` if users can name the export in types only. */
  readonly isType: boolean
}

/** A declaration to print, and the name that it has in the report. */
interface Item {
  readonly symbol: ts.Symbol
  readonly name: string
  readonly exported: boolean
  readonly isType: boolean
}

/** Where the report prints an export. */
interface Place {
  readonly entry: EntryPoint
  readonly name: string
}

const root = join(import.meta.dirname, "..", "..")
/** Where the reports are. */
export const folder = join(root, "test/api")

const printer = ts.createPrinter({ removeComments: true })

const readEntryPoints = (): ReadonlyArray<EntryPoint> => {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly name: string
    readonly exports: Readonly<Record<string, string | null | { readonly types: string }>>
  }
  return Object.entries(manifest.exports).flatMap(([key, target]) =>
    target !== null && typeof target === "object"
      ? [{ key, specifier: key.replace(/^\./, manifest.name), types: target.types }]
      : []
  )
}

/** The names of the files that hold the reports. */
export const reportNames = (): ReadonlyArray<string> => readEntryPoints().map(fileOf)

const fileOf = ({ key }: EntryPoint): string => `${key === "." ? "index" : key.slice(2).replaceAll("/", ".")}.md`

const posix = (path: string): string => path.split(sep).join("/")

const compile = async (folder: string): Promise<void> => {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const args = ["-p", join(root, "tsconfig.build.json"), "--outDir", folder, "--declarationMap", "false"]
  try {
    await promisify(execFile)(process.execPath, [tsc, ...args], { cwd: root })
  } catch (error) {
    throw new Error(`src does not compile.\n${String((error as { readonly stdout?: string }).stdout)}`, {
      cause: error
    })
  }
}

const declarationsOf = (folder: string, { types }: EntryPoint): string => join(folder, types.replace("./dist/", ""))

/** Reads the declarations of the package only. Types of other packages stay names, which keeps this fast. */
const createProgram = (folder: string, entries: ReadonlyArray<EntryPoint>): ts.Program => {
  const options: ts.CompilerOptions = { noLib: true, types: [], allowImportingTsExtensions: true, noEmit: true }
  const host = ts.createCompilerHost(options)
  host.resolveModuleNameLiterals = (literals, containingFile) =>
    literals.map(({ text }) => ({
      resolvedModule: text.startsWith(".")
        ? {
            resolvedFileName: posix(join(dirname(containingFile), text.replace(/\.ts$/, ".d.ts"))),
            extension: ts.Extension.Dts
          }
        : undefined
    }))
  return ts.createProgram(
    entries.map((entry) => declarationsOf(folder, entry)),
    options,
    host
  )
}

const withoutComments = (code: string): string =>
  printer.printFile(ts.createSourceFile("declaration.ts", code, ts.ScriptTarget.Latest)).trim()

/** Returns `true` for the name that a declaration declares, and `false` for a name that it mentions. */
const isDeclaredName = (node: ts.Identifier): boolean =>
  (node.parent as ts.NamedDeclaration).name === node && !ts.isImportTypeNode(node.parent)

/** The last part of a module's name. The report prefixes names with it, as imports in `src` do. */
const shortName = (specifier: string): string => specifier.slice(specifier.lastIndexOf("/") + 1)

/** The report about one entry point. */
class Page {
  readonly #entry: EntryPoint
  readonly #declared: Declarations
  readonly #names = new Map<ts.Symbol, string>()
  readonly #queue: Array<Item> = []

  constructor(declared: Declarations, entry: EntryPoint) {
    this.#declared = declared
    this.#entry = entry
  }

  text(): string {
    const references: Array<string> = []
    for (const found of this.#declared.exports(this.#entry)) {
      const elsewhere = this.#elsewhere(found)
      if (elsewhere !== undefined) references.push(elsewhere)
      else this.#enqueue({ ...found, exported: true })
    }
    // Printing adds to the queue what an export mentions and no entry point exports.
    const printed: Array<readonly [item: Item, text: string]> = []
    for (const item of this.#queue) printed.push([item, this.#declarations(item)])
    const exported = printed.filter(([item]) => item.exported)
    const hidden = printed.filter(([item]) => !item.exported).toSorted(([a], [b]) => (a.name < b.name ? -1 : 1))
    const code = [
      references.join("\n"),
      ...exported.map(([, text]) => text),
      hidden.length === 0 ? "" : "// Not exported. The declarations above mention these.",
      ...hidden.map(([, text]) => text)
    ]
      .filter((text) => text !== "")
      .join("\n\n")
    return `# ${this.#entry.specifier}\n\nEvery export with its type, written by \`npm run api\`.\n\n\`\`\`ts\n${code}\n\`\`\`\n`
  }

  #enqueue(item: Item): void {
    this.#names.set(item.symbol, item.name)
    this.#queue.push(item)
  }

  /** The line for an export that the report prints in another place or under another name. */
  #elsewhere({ isType, name, symbol }: Export): string | undefined {
    const type = isType ? "type " : ""
    const module = this.#declared.entryOf(symbol)
    if (module !== undefined) return `export ${type}* as ${name} from "${module.specifier}"`
    const printed = this.#names.get(symbol)
    if (printed !== undefined) return `export { ${type}${printed} as ${name} }`
    const place = this.#declared.placeOf(symbol)
    if (place === undefined || place.entry === this.#entry) return
    const renamed = place.name === name ? name : `${place.name} as ${name}`
    return `export { ${type}${renamed} } from "${place.entry.specifier}"`
  }

  #declarations(item: Item): string {
    return (item.symbol.declarations ?? [])
      .flatMap((declaration) => [...this.#base(declaration), this.#declaration(declaration, item)])
      .join("\n")
  }

  /** The compiler adds a constant if a class extends an expression. The report prints the constant above the class. */
  #base(declaration: ts.Declaration): ReadonlyArray<string> {
    if (!ts.isClassDeclaration(declaration)) return []
    return (declaration.heritageClauses ?? [])
      .flatMap(({ types }) => types)
      .flatMap(({ expression }) => {
        const symbol = this.#declared.symbolOf(expression)
        if (symbol === undefined || this.#names.has(symbol) || this.#declared.placeOf(symbol) !== undefined) return []
        if (symbol.declarations?.some(ts.isVariableDeclaration) !== true) return []
        const item = { symbol, name: this.#freeName(symbol.name), exported: false, isType: false }
        this.#names.set(symbol, item.name)
        return [this.#declarations(item)]
      })
  }

  #declaration(declaration: ts.Declaration, { exported, isType, name }: Item): string {
    const isAmbient = !ts.isInterfaceDeclaration(declaration) && !ts.isTypeAliasDeclaration(declaration)
    const code = [
      exported ? "export" : "",
      isAmbient ? "declare" : "",
      ts.isVariableDeclaration(declaration) ? "const" : "",
      this.#render(declaration, declaration, name)
    ].join(" ")
    const deprecated = ts.getJSDocDeprecatedTag(declaration) === undefined ? "" : "/** @deprecated */\n"
    const typeOnly = isType && (ts.isClassDeclaration(declaration) || ts.isVariableDeclaration(declaration))
    return `${deprecated}${typeOnly ? "// Only its type is exported.\n" : ""}${withoutComments(code)}`
  }

  /** The text of a node with the report's name for each declaration that it mentions. */
  #render(node: ts.Node, declaration: ts.Declaration, name: string): string {
    const render = (child: ts.Node) => this.#render(child, declaration, name)
    const source = node.getSourceFile()
    if (node.parent === declaration && ts.isModifier(node)) {
      return node.kind === ts.SyntaxKind.ExportKeyword || node.kind === ts.SyntaxKind.DeclareKeyword
        ? ""
        : node.getText(source)
    }
    if (ts.isIdentifier(node) && isDeclaredName(node)) return node.parent === declaration ? name : node.text
    if (ts.isIdentifier(node) || ts.isQualifiedName(node) || ts.isPropertyAccessExpression(node)) {
      return this.#mention(node)
    }
    if (ts.isImportTypeNode(node)) {
      const args = node.typeArguments === undefined ? "" : `<${node.typeArguments.map(render).join(", ")}>`
      return `${node.isTypeOf ? "typeof " : ""}${this.#imported(node)}${args}`
    }
    // The compiler orders the members of an inferred union by the order in which it reads files.
    if (ts.isUnionTypeNode(node)) return node.types.map(render).toSorted().join(" | ")
    let text = ""
    let position = node.getStart(source)
    ts.forEachChild(node, (child) => {
      text += source.text.slice(position, child.getStart(source)) + render(child)
      position = child.end
    })
    return text + source.text.slice(position, node.end)
  }

  #imported(node: ts.ImportTypeNode): string {
    const symbol = this.#declared.symbolOf(node.qualifier ?? node)
    if (symbol !== undefined && this.#declared.isOurs(symbol)) return this.#nameOf(symbol)
    const module = ts.isLiteralTypeNode(node.argument) ? (node.argument.literal as ts.StringLiteral).text : ""
    const path = node.qualifier?.getText() ?? ""
    return module.includes("/") ? `${shortName(module)}${path === "" ? "" : `.${path}`}` : path
  }

  #mention(node: ts.Identifier | ts.QualifiedName | ts.PropertyAccessExpression): string {
    const symbol = this.#declared.symbolOf(node)
    if (symbol !== undefined && this.#declared.isOurs(symbol)) return this.#nameOf(symbol)
    if (ts.isIdentifier(node)) return this.#declared.importedName(node) ?? node.text
    const left = ts.isQualifiedName(node) ? node.left : node.expression
    const right = ts.isQualifiedName(node) ? node.right : node.name
    const isName = ts.isIdentifier(left) || ts.isQualifiedName(left) || ts.isPropertyAccessExpression(left)
    return `${isName ? this.#mention(left) : left.getText()}.${right.text}`
  }

  #nameOf(symbol: ts.Symbol): string {
    const known = this.#names.get(symbol)
    if (known !== undefined) return known
    const module = this.#declared.entryOf(symbol)
    if (module !== undefined) return shortName(module.specifier)
    const place = this.#declared.placeOf(symbol)
    if (place !== undefined)
      return place.entry === this.#entry ? place.name : `${shortName(place.entry.specifier)}.${place.name}`
    const parent = this.#declared.namespaceOf(symbol)
    if (parent !== undefined) return `${this.#nameOf(parent)}.${symbol.name}`
    const name = this.#freeName(symbol.name)
    this.#enqueue({ symbol, name, exported: false, isType: false })
    return name
  }

  /** Two private types may have the same name. */
  #freeName(name: string): string {
    const taken = new Set(this.#names.values())
    let free = name
    for (let count = 2; taken.has(free); count++) free = `${name}${count}`
    return free
  }
}

/** The declarations of the package, without the files that they are in. */
class Declarations {
  readonly #checker: ts.TypeChecker
  readonly #modules: ReadonlyMap<EntryPoint, ts.Symbol>
  readonly #places = new Map<ts.Symbol, Place>()

  constructor(program: ts.Program, modules: ReadonlyArray<readonly [EntryPoint, ts.SourceFile]>) {
    this.#checker = program.getTypeChecker()
    this.#modules = new Map(modules.map(([entry, file]) => [entry, this.#checker.getSymbolAtLocation(file)!] as const))
    // Each export is printed once. The main entry point comes last, because it only collects exports of the others.
    const entries = [...this.#modules.keys()].toSorted((a, b) => Number(a.key === ".") - Number(b.key === "."))
    for (const entry of entries) {
      for (const { name, symbol } of this.exports(entry)) {
        if (!this.#places.has(symbol)) this.#places.set(symbol, { entry, name })
      }
    }
  }

  exports(entry: EntryPoint): ReadonlyArray<Export> {
    return this.#checker
      .getExportsOfModule(this.#modules.get(entry)!)
      .map((exported) => {
        const symbol = this.#resolve(exported)
        const hasValue = (symbol.flags & ts.SymbolFlags.Value) !== 0
        const isTypeOnly = exported.declarations?.some((node) => ts.isTypeOnlyExportDeclaration(node)) === true
        return { name: exported.name, symbol, isType: !hasValue || isTypeOnly }
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  placeOf(symbol: ts.Symbol): Place | undefined {
    return this.#places.get(symbol)
  }

  /** The entry point that a module is. */
  entryOf(symbol: ts.Symbol): EntryPoint | undefined {
    return [...this.#modules].find(([, module]) => module === symbol)?.[0]
  }

  /** The namespace or class that a declaration stands in; `undefined` at the top of a file. */
  namespaceOf(symbol: ts.Symbol): ts.Symbol | undefined {
    const parent = (symbol as ts.Symbol & { readonly parent?: ts.Symbol }).parent
    return parent?.declarations?.some(ts.isSourceFile) === true ? undefined : parent
  }

  symbolOf(node: ts.Node): ts.Symbol | undefined {
    const symbol = this.#checker.getSymbolAtLocation(node)
    return symbol === undefined ? undefined : this.#resolve(symbol)
  }

  /** Returns `true` if the package declares a symbol, other than as a parameter of a declaration. */
  isOurs(symbol: ts.Symbol): boolean {
    return (
      symbol.declarations?.some(
        (node) => !ts.isTypeParameterDeclaration(node) && !ts.isParameter(node) && !ts.isMappedTypeNode(node)
      ) === true
    )
  }

  /** The name that another package exports. The importing file may use a different name. */
  importedName(node: ts.Identifier): string | undefined {
    const declaration = this.#checker.getSymbolAtLocation(node)?.declarations?.[0]
    if (declaration === undefined) return
    if (ts.isImportSpecifier(declaration)) return (declaration.propertyName ?? declaration.name).text
    if (!ts.isNamespaceImport(declaration)) return
    return shortName((declaration.parent.parent.moduleSpecifier as ts.StringLiteral).text)
  }

  #resolve(symbol: ts.Symbol): ts.Symbol {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol
  }
}

/** The reports, by the names of their files. */
export const makeReports = async (): Promise<ReadonlyMap<string, string>> => {
  const compiled = realpathSync(mkdtempSync(join(tmpdir(), "effect-oauth2-api-")))
  try {
    await compile(compiled)
    const entries = readEntryPoints()
    const program = createProgram(compiled, entries)
    const declared = new Declarations(
      program,
      entries.map((entry) => [entry, program.getSourceFile(declarationsOf(compiled, entry))!])
    )
    const style = await resolveConfig(join(root, "package.json"))
    return new Map(
      await Promise.all(
        entries.map(
          async (entry) =>
            [fileOf(entry), await format(new Page(declared, entry).text(), { ...style, parser: "markdown" })] as const
        )
      )
    )
  } finally {
    rmSync(compiled, { recursive: true, force: true })
  }
}
