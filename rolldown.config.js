// What users load: a small module for each entry of the package, and one with what they share. Seventy small modules take Node longer to find than to run.
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
    // Each file more takes Node half a millisecond. Apart is what not every app loads, or not everywhere.
    codeSplitting: {
      groups: [{ name: "library", test: /\/src\/(?!testing|NodeSignatures|internal\/(swaggerUi|jwt\/nodeSignatures))/ }]
    },
    comments: false,
    sourcemap: true
  }
})
