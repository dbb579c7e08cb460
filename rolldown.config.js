// What users load: a small module for each entry of the package, and one with what they share. Seventy small modules take Node longer to find than to run.
import { globSync } from "node:fs"
import { basename } from "node:path"
import { defineConfig } from "rolldown"

// A public module is called in PascalCase and stands at the top of its wing; `testing` is one entry as a whole.
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
    // Each file more takes Node half a millisecond. Apart is what not every app loads, or not everywhere.
    codeSplitting: {
      groups: [
        { name: "library", test: /\/src\/(?!testing|swaggerUi\/[a-z]|verifier\/(NodeSignatures|jwt\/nodeSignatures))/ }
      ]
    },
    comments: false,
    sourcemap: true
  }
})
