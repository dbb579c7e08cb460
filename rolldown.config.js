// Bundles the package into one small module per entry, and one shared module.
// Node needs longer to find seventy small modules than to run them.
import { globSync } from "node:fs"
import { basename } from "node:path"
import { defineConfig } from "rolldown"

// A public module has a PascalCase name and lies directly in a folder of src. The folder `testing` is one entry.
const modules = globSync("src/*/[A-Z]*.ts").filter((path) => !path.startsWith("src/testing/"))
const input = Object.fromEntries(modules.map((path) => [basename(path, ".ts"), path]))

export default defineConfig({
  input: { index: "src/index.ts", "testing/index": "src/testing/index.ts", ...input },
  external: /^[^./]/,
  platform: "neutral",
  treeshake: false,
  output: {
    dir: "dist",
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "internal/[name]-[hash].js",
    // Each additional file costs Node half a millisecond. The excluded modules stay separate: not every app loads them.
    codeSplitting: {
      groups: [{ name: "library", test: /\/src\/(?!testing|swaggerUi\/[a-z])/ }]
    },
    comments: false,
    sourcemap: true
  }
})
