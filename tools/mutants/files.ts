// Chooses the files to mutate.
import { execFileSync } from "node:child_process"
import { globSync } from "node:fs"
import { sep } from "node:path"
import { root } from "./vitest.ts"

/**
 * Documents and pages describe what the guards enforce, and the test issuer is for tests. A mistake there opens no
 * route.
 */
const isWithoutGuard = (file: string): boolean =>
  /(?:^|\/)(?:openApi|swaggerUi|testing)\/|(?:OpenApiSecurity|SwaggerUi)\.ts$/.test(file)

/** The security-relevant files, or those whose path contains one of `parts`. */
export const chooseFiles = (parts: ReadonlyArray<string>): ReadonlyArray<string> =>
  globSync("src/**/*.ts", { cwd: root })
    .map((file) => file.split(sep).join("/"))
    .filter((file) => (parts.length === 0 ? !isWithoutGuard(file) : parts.some((part) => file.includes(part))))
    .toSorted()

/** Reads the numbers of the changed lines from `git diff --unified=0`, by file. */
export const readChangedLines = (diff: string): ReadonlyMap<string, ReadonlySet<number>> => {
  const changed = new Map<string, Set<number>>()
  let lines = new Set<number>()
  for (const line of diff.split("\n")) {
    const file = /^\+\+\+ b\/(.*)$/.exec(line)?.[1]
    if (file !== undefined) changed.set(file, (lines = new Set()))
    const [, first = "", count = "1"] = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(line) ?? []
    if (first !== "") for (let index = 0; index < Number(count); index++) lines.add(Number(first) + index)
  }
  return changed
}

/** The lines of `src` that have changed since a commit. */
export const changedLines = (since: string): ReadonlyMap<string, ReadonlySet<number>> => {
  const args = ["diff", "--unified=0", "--no-color", "--no-ext-diff", "--src-prefix=a/", "--dst-prefix=b/", since]
  return readChangedLines(execFileSync("git", [...args, "--", "src"], { cwd: root, encoding: "utf8" }))
}
