// Runs all tests with node:crypto, the default on Node, and the tests of verification a second time with jose.
import { realpathSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { defineConfig, type Plugin } from "vitest/config"

const conditions = ["@effect-oauth2/source"]

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } }
}

// Without isolation, a worker loads each module once instead of once per test file. This saves a third of the time.
const all = { testTimeout: 30_000, hookTimeout: 60_000, isolate: false, setupFiles: ["test/support/setup.ts"] }

// realpathSync throws if the file does not exist, so a moved file cannot silently disable the swap.
const path = (name: string) => realpathSync(new URL(name, import.meta.url))

/** Replaces a file with a substitute in every relative import. */
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
    // The default leaves one processor idle. One more worker than processors runs while others wait for their servers.
    maxWorkers: availableParallelism() + 1,
    projects: [
      {
        ...shared,
        test: { ...all, name: "node:crypto", include: ["test/**/*.test.ts"], globalSetup: ["test/support/runtimes.ts"] }
      },
      {
        // Verifies all signatures with jose, so that every verification and attack test covers it too.
        ...shared,
        plugins: [swap(path("src/verifier/jwt/signatures.ts"), path("test/support/signatures.ts"))],
        test: {
          ...all,
          name: "jose",
          include: [
            "test/verifier/JwtVerifier*.test.ts",
            "test/verifier/Dpop*.test.ts",
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
