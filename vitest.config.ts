import { realpathSync } from "node:fs"
import { dirname, join } from "node:path"
import { defineConfig, type Plugin } from "vitest/config"

const conditions = ["@effect-oauth2/source"]

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } }
}

// Not isolated: modules are loaded once in a worker, and not once for each file, which takes a third of the time.
const all = { testTimeout: 10_000, hookTimeout: 60_000, isolate: false, setupFiles: ["test/support/setup.ts"] }

// Throws if there is no such file.
const path = (name: string) => realpathSync(new URL(name, import.meta.url))

/** Lets the second file stand for the first, whoever imports it. */
const swap = (file: string, substitute: string): Plugin => ({
  name: "swap",
  enforce: "pre",
  resolveId: (source, importer) =>
    importer !== undefined && source.startsWith(".") && join(dirname(importer), source) === file
      ? substitute
      : undefined
})

export default defineConfig({
  test: {
    // The default leaves one processor idle, which is half of them on a small machine.
    maxWorkers: "100%",
    projects: [
      { ...shared, test: { ...all, name: "jose", include: ["test/**/*.test.ts"] } },
      {
        // Signatures are checked by `NodeSignatures`: every test of verification, and every attack, as it is.
        ...shared,
        plugins: [swap(path("src/verifier/jwt/signatures.ts"), path("test/support/signatures.ts"))],
        test: {
          ...all,
          name: "node:crypto",
          include: [
            "test/verifier/JwtVerifier*.test.ts",
            "test/verifier/Provider.test.ts",
            "test/attacks/*.test.ts",
            "test/conformance/recorded.test.ts",
            "test/testing/*.test.ts"
          ]
        }
      }
    ]
  }
})
