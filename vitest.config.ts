import { defineConfig } from "vitest/config"

const conditions = ["@effect-oauth2/source"]

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } }
}

// Not isolated: modules are loaded once in a worker, and not once for each file, which takes a third of the time.
const all = { testTimeout: 10_000, hookTimeout: 60_000, isolate: false, setupFiles: ["test/support/setup.ts"] }

export default defineConfig({
  test: {
    // The default leaves one processor idle, which is half of them on a small machine.
    maxWorkers: "100%",
    projects: [
      { ...shared, test: { ...all, name: "jose", include: ["test/**/*.test.ts"] } },
      {
        // Signatures are checked by `NodeSignatures`: every test of verification, and every attack, as it is.
        ...shared,
        resolve: {
          conditions,
          alias: [
            {
              find: /^\..*\/signatures\.ts$/,
              replacement: new URL("test/support/signatures.ts", import.meta.url).pathname
            }
          ]
        },
        test: {
          ...all,
          name: "node:crypto",
          include: [
            "test/JwtVerifier*.test.ts",
            "test/Provider.test.ts",
            "test/attacks/*.test.ts",
            "test/conformance/recorded.test.ts",
            "test/testing/*.test.ts"
          ]
        }
      }
    ]
  }
})
