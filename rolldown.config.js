// What users load: a module for each entry of the package, and the rest in as few as they share. Seventy small modules take Node longer to find than to run.
import { globSync } from "node:fs"
import { defineConfig } from "rolldown"

const entries = [...globSync("src/*.ts"), "src/testing/index.ts"]

export default defineConfig({
  input: Object.fromEntries(entries.map((path) => [path.replace(/^src\/|\.ts$/g, ""), path])),
  external: /^[^./]/,
  platform: "neutral",
  treeshake: false,
  output: {
    dir: "dist",
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "internal/[name]-[hash].js",
    comments: false,
    sourcemap: true
  }
})
