// Requires an example in the docstring of every public value, static member, and member that is an effect or a layer.
import ts from "@typescript/typescript6"
import { assert, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const root = join(import.meta.dirname, "..", "..")
const read = (file: string) => readFileSync(join(root, file), "utf8")

const entries = read("package.json").matchAll(/"@effect-oauth2\/source": "(.*)"/g)
const rootNames = Array.from(entries, ([, file = ""]) => join(root, file))
const { options } = ts.parseJsonConfigFileContent(JSON.parse(read("tsconfig.json")), ts.sys, root)
const program = ts.createProgram({ rootNames, options })
const checker = program.getTypeChecker()

const documentedMembers = (declaration: ts.Declaration): ReadonlyArray<ts.Declaration> =>
  ts.isClassDeclaration(declaration)
    ? declaration.members.filter((member) => ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static)
    : ts.isInterfaceDeclaration(declaration)
      ? declaration.members.filter(
          (member) => ts.isPropertySignature(member) && /\b(Effect|Layer)</.test(member.type?.getText() ?? "")
        )
      : []

const publicDeclarations = rootNames.flatMap((file) =>
  checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!).flatMap((symbol) => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const value =
      target.valueDeclaration === undefined || ts.isSourceFile(target.valueDeclaration) ? [] : [target.valueDeclaration]
    return [...value, ...(target.declarations ?? []).flatMap(documentedMembers)].map((declaration) => ({
      name: target.name,
      declaration
    }))
  })
)

it("every public value has an example in its docstring", () => {
  assert.isAbove(publicDeclarations.length, 80)
  const without = publicDeclarations.filter(({ declaration }) => {
    // The example of an interface that a program implements shows all of its members.
    const owner = ts.isPropertySignature(declaration) ? [declaration.parent] : []
    return ![declaration, ...owner].some((node) =>
      ts.getJSDocCommentsAndTags(node).some((comment) => comment.getText().includes("**Example**"))
    )
  })
  assert.deepStrictEqual(
    without.map(({ declaration, name }) => `${name} ${ts.getNameOfDeclaration(declaration)?.getText()}`),
    []
  )
})
