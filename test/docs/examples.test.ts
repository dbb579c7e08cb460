// What users call has an example in its documentation: every value of the package's entry points, and the members of classes and schemes that run.
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

const members = (declaration: ts.Declaration): ReadonlyArray<ts.Declaration> =>
  ts.isClassDeclaration(declaration)
    ? declaration.members.filter((member) => ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Static)
    : ts.isInterfaceDeclaration(declaration)
      ? declaration.members.filter(
          (member) => ts.isPropertySignature(member) && /\b(Effect|Layer)</.test(member.type?.getText() ?? "")
        )
      : []

const runs = rootNames.flatMap((file) =>
  checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)!)!).flatMap((symbol) => {
    const of = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const own = of.valueDeclaration === undefined || ts.isSourceFile(of.valueDeclaration) ? [] : [of.valueDeclaration]
    return [...own, ...(of.declarations ?? []).flatMap(members)].map((declaration) => ({ name: of.name, declaration }))
  })
)

it("what users call has an example", () => {
  assert.isAbove(runs.length, 80)
  for (const { declaration, name } of runs) {
    const documentation = ts.getJSDocCommentsAndTags(declaration).map((comment) => comment.getText())
    assert.include(documentation.join(""), "**Example**", `${name} ${ts.getNameOfDeclaration(declaration)?.getText()}`)
  }
})
