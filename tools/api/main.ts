/** Writes the reports of the public API: `npm run api`. */
import { globSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { folder, makeReports } from "./report.ts"

const reports = await makeReports()
mkdirSync(folder, { recursive: true })
for (const name of globSync("*.md", { cwd: folder })) rmSync(join(folder, name))
for (const [name, text] of reports) writeFileSync(join(folder, name), text)
