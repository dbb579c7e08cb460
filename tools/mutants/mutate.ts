// Finds the mutants of a source file: small changes, each of which a test should notice.
import ts from "@typescript/typescript6"

export interface Mutant {
  /** The name of the operator that makes the change. */
  readonly operator: string
  /** The first line of the changed code, from 1. */
  readonly line: number
  readonly start: number
  readonly end: number
  readonly original: string
  readonly replacement: string
  /** The number of the function that the change is in, see `instrument`. */
  readonly unit: number
}

const { SyntaxKind } = ts

/** Each operator, with the operator that replaces it. */
const operators = new Map<ts.SyntaxKind, string>([
  [SyntaxKind.EqualsEqualsEqualsToken, "!=="],
  [SyntaxKind.ExclamationEqualsEqualsToken, "==="],
  [SyntaxKind.LessThanToken, "<="],
  [SyntaxKind.LessThanEqualsToken, "<"],
  [SyntaxKind.GreaterThanToken, ">="],
  [SyntaxKind.GreaterThanEqualsToken, ">"],
  [SyntaxKind.AmpersandAmpersandToken, "||"],
  [SyntaxKind.BarBarToken, "&&"],
  [SyntaxKind.MinusToken, "+"],
  [SyntaxKind.AsteriskToken, "/"],
  [SyntaxKind.SlashToken, "*"]
])

const isLogical = (kind: ts.SyntaxKind): boolean =>
  kind === SyntaxKind.AmpersandAmpersandToken ||
  kind === SyntaxKind.BarBarToken ||
  kind === SyntaxKind.QuestionQuestionToken

/** Code that does not run when the module loads. Coverage is recorded for each unit. */
const isUnit = (node: ts.Node): node is ts.FunctionLikeDeclaration | ts.PropertyDeclaration =>
  (ts.isFunctionLike(node) && (node as ts.FunctionLikeDeclaration).body !== undefined) ||
  (ts.isPropertyDeclaration(node) && node.initializer !== undefined)

/** Types have no behavior, and the names of modules are not values. */
const isWithoutBehavior = (node: ts.Node): boolean =>
  ts.isTypeNode(node) ||
  ts.isInterfaceDeclaration(node) ||
  ts.isTypeAliasDeclaration(node) ||
  ts.isImportDeclaration(node) ||
  ts.isExportDeclaration(node) ||
  (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === SyntaxKind.DeclareKeyword) === true)

const isUndefined = (node: ts.Expression): boolean => ts.isIdentifier(node) && node.text === "undefined"

/** The condition of a statement or of an expression. */
const conditionOf = (node: ts.Node): ts.Expression | undefined => {
  if (ts.isIfStatement(node) || ts.isWhileStatement(node) || ts.isDoStatement(node)) return node.expression
  return ts.isConditionalExpression(node) || ts.isForStatement(node) ? node.condition : undefined
}

type Change = readonly [operator: string, node: ts.Node, replacement: string]

const changes = (node: ts.Node, text: (node: ts.Node) => string): ReadonlyArray<Change> => {
  const found: Array<Change> = []
  const condition = conditionOf(node)
  if (condition !== undefined) {
    found.push(["condition that always holds", condition, "true"], ["condition that never holds", condition, "false"])
  }
  if (ts.isBinaryExpression(node)) {
    const { left, operatorToken, right } = node
    const swapped = operators.get(operatorToken.kind)
    if (swapped !== undefined) found.push(["other operator", operatorToken, swapped])
    if (isLogical(operatorToken.kind)) {
      found.push(["left operand only", node, `(${text(left)})`], ["right operand only", node, `(${text(right)})`])
    }
  }
  if (ts.isPrefixUnaryExpression(node) && node.operator === SyntaxKind.ExclamationToken) {
    found.push(["without negation", node, `(${text(node.operand)})`])
  }
  if (node.kind === SyntaxKind.TrueKeyword) found.push(["other boolean", node, "false"])
  if (node.kind === SyntaxKind.FalseKeyword) found.push(["other boolean", node, "true"])
  if (ts.isStringLiteralLike(node) && !isName(node)) {
    found.push(["other string", node, node.text === "" ? `"mutant"` : `""`])
  }
  if (ts.isTemplateExpression(node) && !ts.isTaggedTemplateExpression(node.parent)) {
    found.push(["other string", node, `""`])
  }
  if (ts.isArrayLiteralExpression(node) && node.elements.length > 0 && !isPattern(node)) {
    found.push(["empty array", node, "[]"])
  }
  if (ts.isRegularExpressionLiteral(node)) found.push(...anchors(node))
  if ((ts.isExpressionStatement(node) && !isSuperCall(node)) || ts.isThrowStatement(node)) {
    found.push(["without the statement", node, ";"])
  }
  if (ts.isReturnStatement(node) && node.expression !== undefined && !isUndefined(node.expression)) {
    found.push(["returns undefined", node.expression, "undefined"])
  }
  if (ts.isArrowFunction(node) && !ts.isBlock(node.body) && !isUndefined(node.body)) {
    found.push(["returns undefined", node.body, "undefined"])
  }
  return found
}

/** A derived class without `super()` cannot be constructed, so every test would notice. */
const isSuperCall = ({ expression }: ts.ExpressionStatement): boolean =>
  ts.isCallExpression(expression) && expression.expression.kind === SyntaxKind.SuperKeyword

/** In `[a, b] = …` the array is a pattern, not a value. */
const isPattern = (node: ts.ArrayLiteralExpression): boolean =>
  ts.isBinaryExpression(node.parent) &&
  node.parent.left === node &&
  node.parent.operatorToken.kind === SyntaxKind.EqualsToken

/**
 * Returns `true` for keys of properties, and for identifiers of services and types, which begin with the package's
 * name.
 */
const isName = (node: ts.StringLiteralLike): boolean =>
  (node.parent as ts.NamedDeclaration).name === node ||
  ts.isTaggedTemplateExpression(node.parent) ||
  /^~?effect-oauth2\//.test(node.text)

/** A pattern without its first or last anchor also matches in longer texts. */
const anchors = (node: ts.RegularExpressionLiteral): ReadonlyArray<Change> => {
  const [, source = "", flags = ""] = /^\/(.*)\/([a-z]*)$/.exec(node.text) ?? []
  return [
    ...(source.startsWith("^") && source !== "^" ? [source.slice(1)] : []),
    ...(/[^\\]\$$/.test(source) ? [source.slice(0, -1)] : [])
  ].map((replacement) => ["without an anchor", node, `/${replacement}/${flags}`] as const)
}

/** Texts of errors and of logs are for people. Tests of the words would repeat the words. */
const isMessage = (node: ts.Node): boolean =>
  (ts.isNewExpression(node) || ts.isCallExpression(node)) && /Error$|^Effect\.log\w*$/.test(node.expression.getText())

const isText = ([operator]: Change): boolean => operator === "other string"

interface Found {
  readonly mutants: ReadonlyArray<Mutant>
  /** The functions of the file. The first element, `undefined`, stands for the module. */
  readonly units: ReadonlyArray<ts.Node | undefined>
  readonly file: ts.SourceFile
}

const find = (source: string): Found => {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true)
  const mutants: Array<Mutant> = []
  const units: Array<ts.Node | undefined> = [undefined]
  const visit = (node: ts.Node, outer: number, inMessage: boolean): void => {
    if (isWithoutBehavior(node)) return
    const unit = isUnit(node) ? units.push(node) - 1 : outer
    const isInMessage = inMessage || isMessage(node)
    for (const change of changes(node, (child) => child.getText(file))) {
      const [operator, target, replacement] = change
      if (isInMessage && isText(change)) continue
      const start = target.getStart(file)
      const original = source.slice(start, target.end)
      if (original === replacement) continue
      const line = file.getLineAndCharacterOfPosition(start).line + 1
      mutants.push({ operator, line, start, end: target.end, original, replacement, unit })
    }
    ts.forEachChild(node, (child) => visit(child, unit, isInMessage))
  }
  visit(file, 0, false)
  const seen = new Set<string>()
  const isNew = ({ end, replacement, start }: Mutant): boolean =>
    !seen.has(`${start} ${end} ${replacement}`) && seen.add(`${start} ${end} ${replacement}`) !== undefined
  return { mutants: mutants.filter(isNew).toSorted((a, b) => a.start - b.start), units, file }
}

export const findMutants = (source: string): ReadonlyArray<Mutant> => find(source).mutants

export const apply = (source: string, { end, replacement, start }: Mutant): string =>
  source.slice(0, start) + replacement + source.slice(end)

/** The source with a call of `hit` with the number of each function that runs, and with 0 for the module. */
export const instrument = (source: string, hit: (unit: number) => string): string => {
  const { file, units } = find(source)
  const inserts: Array<readonly [position: number, text: string]> = [[source.length, `\n;${hit(0)};\n`]]
  for (const [unit, node] of units.entries()) {
    if (node === undefined) continue
    const body = ts.isPropertyDeclaration(node) ? node.initializer! : (node as ts.FunctionLikeDeclaration).body!
    if (ts.isBlock(body)) inserts.push([body.getStart(file) + 1, ` ${hit(unit)};`])
    else inserts.push([body.getStart(file), `(${hit(unit)}, `], [body.end, ")"])
  }
  return inserts
    .toSorted(([a], [b]) => b - a)
    .reduce((text, [position, insert]) => text.slice(0, position) + insert + text.slice(position), source)
}
