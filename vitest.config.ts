import { defineConfig } from "vitest/config"

const conditions = ["@effect-oauth2/source"]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 10_000,
    hookTimeout: 60_000
  }
})
