/** Installs the packages of the other servers if they are missing or older than the lock file. */
import { execFileSync } from "node:child_process"
import { statSync } from "node:fs"
import { join } from "node:path"

const changed = (path: string): number =>
  statSync(join(import.meta.dirname, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

export const install = (): void => {
  if (changed("node_modules/.package-lock.json") >= changed("package-lock.json")) return
  execFileSync("npm", ["ci", "--prefix", import.meta.dirname], { stdio: ["ignore", "ignore", "inherit"] })
}
