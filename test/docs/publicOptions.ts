// Lists the options of every public function, with their defaults and their meaning, from the docstrings.
import ts from "@typescript/typescript6"
import { readFileSync } from "node:fs"
import { join, sep } from "node:path"

/** Pages of docs/reference that tests write. `npm run reference` writes the others. */
export const generatedPages: ReadonlyArray<string> = ["messages.md", "options.md"]

export interface PublicOption {
  /** Entry point, such as `JwtVerifier`. */
  readonly module: string
  /** First public function that has the option, such as `JwtVerifier.layer`. */
  readonly owner: string
  /** Path of the option, such as `cache.capacity`. */
  readonly path: string
  /** File and line of the declaration. */
  readonly place: string
  /** Text of the default, or `undefined` if the docstring has none. */
  readonly default: string | undefined
  /** First sentence of the docstring. */
  readonly meaning: string
}

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")
const posix = (path: string) => path.split(sep).join("/")
const sources = posix(join(root, "src"))

interface EntryPoint {
  readonly name: string
  readonly file: string
}

const entryPoints: ReadonlyArray<EntryPoint> = Array.from(
  read("package.json").matchAll(/"\.\/?(\w*)": \{\s+"@effect-oauth2\/source": "(.*)"/g),
  ([, name = "", file = ""]) => ({ name, file: join(root, file) })
).filter(({ name }) => name !== "")

/** Text of a docstring on one line, without its tables, lists and examples. */
const textOf = (documentation: string): string =>
  documentation
    .replace(/^\/\*\*|\*\/$/g, "")
    .replace(/^\s*\* ?/gm, "")
    .split(/\n\s*\n|\n(?=@)|(?=@default)/)
    .map((paragraph) => paragraph.trim().replace(/\s+/g, " "))
    .filter((paragraph) => !/^(?:\||```|- |\*\*Example)/.test(paragraph))
    .join("\n")

// A sentence ends with a full stop, but not inside of code: `Default: \`1.5\`.`
const sentence = String.raw`(?:\x60[^\x60]*\x60|\.(?=\S)|[^.\x60])+`

export const defaultOf = (documentation: string): string | undefined => {
  const text = textOf(documentation)
  const tag = /@default (.+)/.exec(text)?.[1]
  if (tag !== undefined) return /^(?:["[{\d]|true$|false$)/.test(tag) ? `\`${tag}\`` : tag
  return new RegExp(`\\bDefault: (${sentence})\\.(?:\\s|$)`).exec(text)?.[1]
}

const meaningOf = (documentation: string): string => {
  const [first = ""] = textOf(documentation).replace(/^@.*$/gm, "").split("\n")
  const meaning = new RegExp(`^(${sentence}\\.)(?:\\s|$)`).exec(first)?.[1] ?? first
  return meaning.replace(/ Default: .*$/, "")
}

interface Program {
  readonly checker: ts.TypeChecker
  readonly sourceFile: (file: string) => ts.SourceFile
}

const makeProgram = (files: ReadonlyArray<string>, given?: ts.CompilerHost): Program => {
  const { options } = ts.parseJsonConfigFileContent(JSON.parse(read("tsconfig.json")), ts.sys, root)
  const program = ts.createProgram({ rootNames: files, options, ...(given && { host: given }) })
  return {
    checker: program.getTypeChecker(),
    sourceFile: (file) => {
      const source = program.getSourceFile(file)
      if (source === undefined) throw new Error(`${file} does not exist.`)
      return source
    }
  }
}

/** Lists the options of the functions that the entry points export, that exported values contain, and that they return. */
export const optionsOf = (
  entries: ReadonlyArray<EntryPoint>,
  folder: string,
  host?: ts.CompilerHost
): ReadonlyArray<PublicOption> => {
  const { checker, sourceFile } = makeProgram(
    entries.map(({ file }) => file),
    host
  )
  const isOurs = (declaration: ts.Declaration): boolean => declaration.getSourceFile().fileName.startsWith(`${folder}/`)
  const found = new Map<ts.Declaration, PublicOption>()
  const seenTypes = new Set<ts.Type>()
  const seenMembers = new Set<ts.Declaration>()

  const add = (declaration: ts.PropertySignature, owner: string, module: string, path: string): void => {
    const file = declaration.getSourceFile()
    const { line } = file.getLineAndCharacterOfPosition(declaration.getStart())
    const documentation = ts
      .getJSDocCommentsAndTags(declaration)
      .filter((node) => ts.isJSDoc(node))
      .map((node) => node.getText())
      .join("\n")
    found.set(declaration, {
      module,
      owner,
      path,
      place: `${file.fileName.slice(folder.length + 1)}:${line + 1}`,
      default: defaultOf(documentation),
      meaning: meaningOf(documentation)
    })
  }

  const visitOptions = (type: ts.Type, owner: string, module: string, path: string): void => {
    if (seenTypes.has(type)) return
    seenTypes.add(type)
    // Values such as errors are not options.
    if (type.isClass() || type.symbol?.declarations?.some((one) => ts.isClassDeclaration(one))) return
    if (type.isUnionOrIntersection()) for (const one of type.types) visitOptions(one, owner, module, path)
    for (const property of checker.getPropertiesOfType(type)) {
      for (const declaration of property.declarations ?? []) {
        if (!ts.isPropertySignature(declaration) || !isOurs(declaration)) continue
        if (
          ts.isClassDeclaration(declaration.parent) ||
          declaration.getSourceFile().fileName.endsWith("SecurityError.ts")
        )
          continue
        const isForbidden = declaration.type?.kind === ts.SyntaxKind.NeverKeyword
        const inner = path === "" ? property.name : `${path}.${property.name}`
        if (declaration.questionToken !== undefined && !isForbidden && !found.has(declaration)) {
          add(declaration, owner, module, inner)
        }
        if (declaration.type !== undefined && !ts.isFunctionTypeNode(declaration.type)) {
          visitOptions(checker.getTypeOfSymbolAtLocation(property, declaration), owner, module, inner)
        }
      }
    }
  }

  const visitFunctions = (type: ts.Type, owner: string, module: string, depth: number): void => {
    for (const signature of type.getCallSignatures()) {
      for (const parameter of signature.parameters) {
        const { valueDeclaration } = parameter
        if (valueDeclaration === undefined) continue
        visitOptions(checker.getTypeOfSymbolAtLocation(parameter, valueDeclaration), owner, module, "")
      }
      const result = signature.getReturnType()
      if (depth > 0 && (result.symbol?.declarations?.some(isOurs) ?? false)) {
        visitMembers(result, result.symbol.name, module, depth - 1)
      }
    }
  }

  const visitMembers = (type: ts.Type, owner: string, module: string, depth: number): void => {
    for (const property of checker.getPropertiesOfType(type)) {
      const declaration = property.declarations?.[0]
      if (declaration === undefined || !isOurs(declaration) || seenMembers.has(declaration)) continue
      seenMembers.add(declaration)
      visitFunctions(
        checker.getTypeOfSymbolAtLocation(property, declaration),
        `${owner}.${property.name}`,
        module,
        depth
      )
    }
  }

  for (const { file, name: module } of entries) {
    const symbol = checker.getSymbolAtLocation(sourceFile(posix(file)))
    if (symbol === undefined) throw new Error(`${file} exports nothing.`)
    for (const exported of checker.getExportsOfModule(symbol)) {
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const declaration = target.valueDeclaration ?? target.declarations?.[0]
      if (declaration === undefined || ts.isSourceFile(declaration)) continue
      const owner = exported.name === module ? module : `${module}.${exported.name}`
      if (target.valueDeclaration !== undefined) {
        const type = checker.getTypeOfSymbolAtLocation(target, declaration)
        visitFunctions(type, owner, module, 1)
        visitMembers(type, owner, module, 1)
      }
      if (ts.isInterfaceDeclaration(declaration) || ts.isClassDeclaration(declaration)) {
        visitMembers(checker.getDeclaredTypeOfSymbol(target), owner, module, 1)
      }
    }
  }
  return [...found.values()]
}

let all: ReadonlyArray<PublicOption> | undefined

/** Lists the options of the whole library. */
export const publicOptions = (): ReadonlyArray<PublicOption> => (all ??= optionsOf(entryPoints, sources))
