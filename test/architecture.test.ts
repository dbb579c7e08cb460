/**
 * The architecture of `src`, as `docs/architecture.md` describes it: which modules may import which. An import of a
 * type counts like an import of a value.
 */
import { assert, describe, it } from "@effect/vitest"
import ts from "@typescript/typescript6"
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, dirname, join, relative } from "node:path"

interface Wing {
  /** The other wings that its modules import from. */
  readonly uses: ReadonlyArray<string>
  /**
   * Its folders. Modules of a folder import only from folders before it. Modules at the top of the wing import from all
   * folders.
   */
  readonly steps: ReadonlyArray<string>
}

const wings: Readonly<Record<string, Wing>> = {
  core: { uses: [], steps: ["lib", "effect"] },
  stores: { uses: ["core"], steps: [] },
  verifier: {
    uses: ["core", "stores"],
    steps: [
      "authorizationServer",
      "claims",
      "cache",
      "report",
      "keys",
      "jwt",
      "ticket",
      "introspection",
      "dpop",
      "mutualTls",
      "request"
    ]
  },
  guard: { uses: ["core", "verifier"], steps: ["scheme", "requirement", "decision", "middleware"] },
  openApi: { uses: ["core", "guard"], steps: [] },
  oauth2: { uses: ["core", "verifier", "guard", "openApi"], steps: [] },
  swaggerUi: { uses: ["core", "openApi"], steps: [] },
  resource: { uses: ["core", "guard"], steps: [] },
  mcp: { uses: ["core", "guard", "oauth2", "resource"], steps: [] },
  logout: { uses: ["core", "stores", "verifier", "guard"], steps: [] },
  limit: { uses: ["core", "stores", "guard"], steps: [] },
  client: { uses: ["core", "verifier", "stores"], steps: ["protocol", "cache", "store"] },
  login: {
    uses: ["core", "verifier", "guard", "client", "stores"],
    steps: ["provider", "sessions", "web", "flow"]
  },
  testing: { uses: ["core", "verifier"], steps: ["lib", "authorizationServer"] }
}

/**
 * The public modules that private modules may import: the vocabulary of the library, and the key of its central
 * service.
 */
const vocabulary = [
  "client/ClientAuthentication.ts",
  "client/ClientError.ts",
  "client/TokenSource.ts",
  "core/AccessToken.ts",
  "core/BearerToken.ts",
  "core/Challenge.ts",
  "core/RequestIsolation.ts",
  "core/SecurityError.ts",
  "core/SecurityScopes.ts",
  "verifier/Dpop.ts",
  "verifier/MutualTls.ts",
  "verifier/TokenVerifier.ts"
]

/** The wings that have an index of their own, which the index of the library does not export. */
const joint = ["client", "login", "testing"]

const root = join(import.meta.dirname, "..")
const read = (path: string): string => readFileSync(join(root, path), "utf8")

const modules = globSync("**/*.ts", { cwd: join(root, "src") })
  .map((path) => path.replaceAll("\\", "/"))
  .toSorted()

const parse = (path: string): ts.SourceFile => ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)

/** Returns the name of the imported module if the node is an import: a declaration, a call of `import`, or a type. */
const specifierOf = (node: ts.Node): ts.Node | undefined => {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) return node.arguments[0]
  return ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined
}

const specifiersIn = (node: ts.Node): ReadonlyArray<ts.Node> => {
  const own = specifierOf(node)
  const found = own === undefined ? [] : [own]
  ts.forEachChild(node, (child) => {
    found.push(...specifiersIn(child))
  })
  return found
}

/** Returns the imports of a file: other files by their paths, packages by their names. */
const importsOf = (path: string): ReadonlyArray<string> =>
  specifiersIn(parse(path)).map((specifier) => {
    if (!ts.isStringLiteralLike(specifier)) throw new Error(`${path} imports a name that is computed.`)
    return specifier.text.startsWith(".") ? join(dirname(path), specifier.text) : specifier.text
  })

/** All imports of all modules. A module is named by its path in `src`, a package by its name. */
const imports = modules.flatMap((from) =>
  importsOf(`src/${from}`).map((to) => ({ from, to: to.startsWith("src/") ? relative("src", to) : to }))
)
const ownImports = imports.filter(({ to }) => modules.includes(to))

const wingOf = (module: string): string => module.split("/")[0] ?? ""
const isTop = (module: string): boolean => module.split("/").length === 2
/** A PascalCase module or an `index.ts`. */
const isPublic = (module: string): boolean => /^(?:[A-Z]\w*|index)\.ts$/.test(basename(module))

/**
 * Returns the place of a module in the order of its wing's steps. Modules at the top of the wing have the last place.
 */
const placeOf = (module: string): number => {
  const steps = wings[wingOf(module)]?.steps ?? []
  return isTop(module) ? steps.length : steps.indexOf(module.split("/")[1] ?? "")
}

/** Returns the imports that break a rule, for the message of the failed test. */
const breaches = (rule: (from: string, to: string) => boolean, of = ownImports): ReadonlyArray<string> =>
  of.filter(({ from, to }) => !rule(from, to)).map(({ from, to }) => `${from} imports ${to}`)

/** Returns the groups of modules that import each other, directly or through other modules (R. Tarjan, 1972). */
const cyclesOf = (edges: ReadonlyMap<string, ReadonlyArray<string>>): ReadonlyArray<ReadonlyArray<string>> => {
  const cycles: Array<ReadonlyArray<string>> = []
  const indexes = new Map<string, number>()
  const path: Array<string> = []
  /** Returns the lowest index on the path that a module reaches. */
  const visit = (node: string): number => {
    const index = indexes.size
    indexes.set(node, index)
    path.push(node)
    let lowest = index
    for (const next of edges.get(node) ?? []) {
      const known = indexes.get(next)
      if (known === undefined) lowest = Math.min(lowest, visit(next))
      else if (path.includes(next)) lowest = Math.min(lowest, known)
    }
    if (lowest === index) {
      const group = path.splice(path.indexOf(node))
      if (group.length > 1 || edges.get(node)?.includes(node) === true) cycles.push(group.toSorted())
    }
    return lowest
  }
  for (const node of edges.keys()) if (!indexes.has(node)) visit(node)
  return cycles
}

describe("the modules of src", () => {
  it("stand in a wing, and inside of it at the top or in a step", () => {
    const lost = modules.filter((module) => {
      const depth = module.split("/").length
      return (
        module !== "index.ts" &&
        (depth < 2 || depth > 3 || !Object.hasOwn(wings, wingOf(module)) || placeOf(module) < 0)
      )
    })
    assert.deepStrictEqual(lost, [])
    for (const [wing, { steps }] of Object.entries(wings)) {
      for (const folder of ["", ...steps]) assert.isTrue(modules.some((path) => dirname(path) === join(wing, folder)))
    }
  })

  it("import from other wings only what the wing may use", () => {
    const allowed = (from: string, to: string) =>
      from === "index.ts" || wingOf(from) === wingOf(to) || wings[wingOf(from)]?.uses.includes(wingOf(to)) === true
    assert.deepStrictEqual(breaches(allowed), [])
    assert.deepStrictEqual(
      breaches((from, to) => from !== "index.ts" || !joint.includes(wingOf(to))),
      []
    )
  })

  it("use each wing that they may use", () => {
    for (const [wing, { uses }] of Object.entries(wings)) {
      for (const used of uses) {
        assert.isTrue(
          ownImports.some(({ from, to }) => wingOf(from) === wing && wingOf(to) === used),
          `${wing} need not use ${used}`
        )
      }
    }
  })

  it("import nothing from a later step of their wing", () => {
    const allowed = (from: string, to: string) =>
      wingOf(from) !== wingOf(to) || placeOf(to) <= placeOf(from) || vocabulary.includes(to)
    assert.deepStrictEqual(breaches(allowed), [])
  })

  it("import no public module if they are private, except for the vocabulary", () => {
    const allowed = (from: string, to: string) => isPublic(from) || !isPublic(to) || vocabulary.includes(to)
    assert.deepStrictEqual(breaches(allowed), [])
  })

  it("import no index", () => {
    assert.deepStrictEqual(
      breaches((_, to) => basename(to) !== "index.ts"),
      []
    )
  })

  it("import each other in no cycle", () => {
    const edges = new Map(
      modules.map((module) => [module, ownImports.flatMap(({ from, to }) => (from === module ? [to] : []))])
    )
    assert.deepStrictEqual(cyclesOf(edges), [])
  })

  it("import nothing but each other, Effect, and jose where tokens are made and verified", () => {
    const allowed = (from: string, to: string) => {
      if (modules.includes(to) || /^effect\/[\w/-]+$/.test(to)) return true
      if (/^jose(?:\/|$)/.test(to)) return ["client", "login", "verifier", "testing"].includes(wingOf(from))
      if (to === "oauth4webapi") return wingOf(from) === "client"
      // Types only: a bundle names no module of Node.
      return ["node:buffer", "node:crypto"].includes(to) && from === "verifier/jwt/nodeSignatures.ts"
    }
    assert.deepStrictEqual(breaches(allowed, imports), [])
  })
})

describe("the public modules", () => {
  const manifest = JSON.parse(read("package.json")) as {
    readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  }
  const entries = Object.entries(manifest.exports).flatMap(([name, entry]) =>
    typeof entry === "string" ? [] : [{ name, source: relative("src", entry["@effect-oauth2/source"] ?? "") }]
  )

  it("stand at the top of their wing, and each is an entry of the package under its name", () => {
    const expected = modules.flatMap((module) => {
      if (module === "index.ts") return [{ name: ".", source: module }]
      const wing = wingOf(module)
      if (basename(module) === "index.ts") return [{ name: `./${wing}`, source: module }]
      // The tools for tests are one entry.
      if (wing === "testing") return []
      if (joint.includes(wing) && isPublic(module))
        return [{ name: `./${wing}/${basename(module, ".ts")}`, source: module }]
      return isPublic(module) ? [{ name: `./${basename(module, ".ts")}`, source: module }] : []
    })
    const sorted = (list: typeof entries) => list.toSorted((a, b) => (a.name < b.name ? -1 : 1))
    assert.deepStrictEqual(sorted(entries), sorted(expected))
    assert.deepStrictEqual(
      modules.filter((module) => isPublic(module) && module !== "index.ts" && !isTop(module)),
      []
    )
  })

  it("include the vocabulary", () => {
    for (const module of vocabulary)
      assert.isTrue(
        entries.some(({ source }) => source === module),
        module
      )
  })
})

describe("docs/architecture.md", () => {
  const page = read("docs/architecture.md")

  /** Returns the names in the first column of the table under a heading. */
  const tableUnder = (heading: string): ReadonlyArray<string> => {
    const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ""
    return Array.from(section.matchAll(/^\| `([^`]+)`/gm), ([, name = ""]) => name)
  }

  it("names every wing", () => {
    assert.deepStrictEqual(tableUnder("Wings"), Object.keys(wings))
  })

  it("names every step of a wing, in order", () => {
    for (const [wing, { steps }] of Object.entries(wings)) {
      assert.deepStrictEqual(tableUnder(`Steps of \`${wing}\``), steps, wing)
    }
  })

  it("names every public module, at its wing", () => {
    const rows = page.split("\n").filter((line) => line.startsWith("| `"))
    for (const module of modules.filter((path) => /^[^/]+\/[A-Z]\w+\.ts$/.test(path))) {
      const row = rows.find((line) => line.startsWith(`| \`${wingOf(module)}\``)) ?? ""
      assert.include(row, `\`${basename(module, ".ts")}\``)
    }
  })

  it("names files that exist", () => {
    const named = Array.from(page.matchAll(/`([\w/]+\/[\w.]+\.ts)`/g), ([, name = ""]) => name)
    assert.isNotEmpty(named)
    assert.deepStrictEqual(
      named.filter((name) => !existsSync(join(root, name)) && !modules.includes(name)),
      []
    )
  })

  it("draws every use of a wing by another, and no other", () => {
    const drawn = Array.from(page.matchAll(/^ +(\w+) --> (\w+)$/gm), ([, from, to]) => `${from} uses ${to}`)
    const planned = Object.entries(wings).flatMap(([wing, { uses }]) => uses.map((used) => `${wing} uses ${used}`))
    assert.sameMembers(drawn, planned)
  })
})

describe("the insides of Effect", () => {
  const isInside = (module: string): boolean => dirname(module) === "core/effect"

  /** Members of Effect's objects that its documentation does not describe, or that this library changes. */
  const members = ["overlay", "_flat", "headersOverride", "getOrElseMemoize", "rawHeaders"]

  /** Returns the details in a module: names of members, and the keys under which Effect keeps its services. */
  const detailsIn = (module: string): ReadonlyArray<string> => {
    const details: Array<string> = []
    const file = parse(`src/${module}`)
    const specifiers = new Set(specifiersIn(file))
    const visit = (node: ts.Node): void => {
      if (specifiers.has(node)) return
      const isDetail = ts.isStringLiteralLike(node)
        ? /^~?effect\//.test(node.text) || members.includes(node.text)
        : ts.isIdentifier(node)
          ? members.includes(node.text)
          : ts.isPropertyAccessExpression(node) && /\bfiber\.cache$/.test(node.getText())
      if (isDetail) details.push(node.getText())
      ts.forEachChild(node, visit)
    }
    visit(file)
    return details
  }

  it("are used only in core/effect", () => {
    const known = modules
      .filter((module) => !isInside(module))
      .flatMap((module) => detailsIn(module).map((detail) => `${module}: ${detail}`))
    assert.deepStrictEqual(known, [])
    assert.includeMembers(Array.from(new Set(modules.filter(isInside).flatMap(detailsIn))), [
      "overlay",
      "_flat",
      "headersOverride",
      "getOrElseMemoize",
      '"rawHeaders"',
      "fiber.cache"
    ])
  })

  it("are expected by tests in test/core/effect, of each of its modules", () => {
    const tested = globSync("test/core/effect/*.test.ts", { cwd: root }).flatMap(importsOf)
    assert.deepStrictEqual(
      modules.filter((module) => isInside(module) && !tested.includes(`src/${module}`)),
      []
    )
  })
})
