// Bundles the package into a few chunks. Importing an entry loads only the chunks that it needs, and Node needs longer
// to find a hundred small modules than to run them.
import { globSync } from "node:fs"
import { basename, dirname } from "node:path"
import { defineConfig } from "rolldown"

// A public module has a PascalCase name and lies directly in a folder of src. The folder `testing` is one entry.
// The pattern of a glob ignores case on Windows and macOS, so a regular expression compares the name.
const modules = globSync("src/*/*.ts").filter(
  (path) => /^[A-Z]/.test(basename(path)) && basename(dirname(path)) !== "testing"
)
// The modules of a folder with an index are entries below the entry of the folder.
const nameOf = (path) => {
  const name = basename(path, ".ts")
  const wing = basename(dirname(path))
  return ["client", "login"].includes(wing) ? `${wing}/${name}` : name
}
const input = Object.fromEntries(modules.map((path) => [nameOf(path), path]))

/** Types of functions. Their bodies do not run when a module is loaded. */
const isFunction = ({ type }) => type === "FunctionExpression" || type === "ArrowFunctionExpression"

/** Starts of the calls that run when the expression is evaluated. */
const callsIn = (node) => {
  if (Array.isArray(node)) return node.flatMap(callsIn)
  if (typeof node !== "object" || node === null || isFunction(node)) return []
  const own = node.type === "CallExpression" || node.type === "NewExpression" ? [node.start] : []
  return [...own, ...Object.values(node).flatMap(callsIn)]
}

/** Expressions that the constants and the superclasses of a module evaluate when the module is loaded. */
const initializersOf = (statement) => {
  const declaration = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement
  if (declaration?.type === "VariableDeclaration") return declaration.declarations.map(({ init }) => init)
  return declaration?.type === "ClassDeclaration" ? [declaration.superClass] : []
}

/** Marks these calls as free of side effects, so that bundlers remove what an app does not use. */
const pure = {
  name: "pure",
  transform: {
    filter: { id: /[\\/]src[\\/].*\.ts$/ },
    handler(code, _id, { magicString }) {
      const { body } = this.parse(code, { lang: "ts" })
      for (const start of new Set(body.flatMap(initializersOf).flatMap(callsIn))) {
        magicString.appendLeft(start, "/* @__PURE__ */ ")
      }
      return { code: magicString }
    }
  }
}

// Rolldown writes paths with backslashes on Windows.
const chunk = (name, test) => ({ name, test: new RegExp(test.source.replaceAll("\\/", "[\\\\/]")) })

export default defineConfig({
  input: {
    index: "src/index.ts",
    "client/index": "src/client/index.ts",
    "login/index": "src/login/index.ts",
    "testing/index": "src/testing/index.ts",
    ...input
  },
  external: /^[^./]/,
  platform: "neutral",
  treeshake: false,
  preserveEntrySignatures: "allow-extension",
  plugins: [pure],
  experimental: { nativeMagicString: true },
  output: {
    dir: "dist",
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "internal/[name]-[hash].js",
    // Each additional file costs Node half a millisecond, so a chunk holds what is used together. Modules without a
    // chunk stay separate: few apps load them.
    codeSplitting: {
      // A chunk must not contain modules of another chunk only because it imports them.
      includeDependenciesRecursively: false,
      groups: [
        chunk("core", /\/src\/(core\/|stores\/hash)/),
        chunk("guard", /\/src\/(guard|oauth2|openApi)\//),
        chunk("tokens", /\/src\/verifier\/(TokenVerifier|cache\/(?!revocable)|request)/),
        // Bundlers drop this chunk from an app that uses neither introspection nor tickets.
        chunk(
          "introspection",
          /\/src\/verifier\/(TokenIntrospection|introspection\/(?!sharedAnswers)|SocketTicket|ticket)/
        ),
        chunk("claims", /\/src\/verifier\/(authorizationServer|claims|report)/),
        chunk("documentation", /\/src\/swaggerUi\//),
        chunk("client", /\/src\/client\/(protocol|cache|AuthorizedClient|Client|TokenSource)/),
        chunk("login", /\/src\/login\//),
        // The index loads Dpop. A chunk with other stores would bring the services for Redis and SQL.
        chunk("binding", /\/src\/(verifier\/(Dpop|dpop|MutualTls|mutualTls)|stores\/(replayMemory|replayKey))/),
        // The stores of sessions and of tokens that several processes share.
        chunk("sharing", /\/src\/stores\/(lock|sqlTable|seal|keyRing)/),
        chunk("jwt", /\/src\/verifier\/(JwtVerifier|KeySet|Provider|keys\/(?!importJwk)|jwt)/)
      ]
    },
    comments: { annotation: true, jsdoc: false, legal: false },
    sourcemap: true
  }
})
