import { defineConfig } from "vitest/config"

const conditions = ["@effect-oauth2/source"]

const shared = {
  resolve: { conditions },
  ssr: { resolve: { conditions } }
}

const limits = { testTimeout: 10_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    projects: [
      { ...shared, test: { ...limits, name: "jose", include: ["test/**/*.test.ts"] } },
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
          ...limits,
          name: "node:crypto",
          include: [
            "test/JwtVerifier.test.ts",
            "test/KeySet.test.ts",
            "test/Provider.test.ts",
            "test/TokenVerifier.test.ts",
            "test/attacks/*.test.ts",
            "test/conformance/recorded.test.ts",
            "test/testing/*.test.ts"
          ]
        }
      }
    ]
  }
})
