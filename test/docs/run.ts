// Imports the given modules one after the other, and sends the outcome of each to the parent process.
import { pathToFileURL } from "node:url"

const importAll = async (files: ReadonlyArray<string>): Promise<void> => {
  for (const file of files) {
    let failure: string | null = null
    try {
      await import(pathToFileURL(file).href)
    } catch (error) {
      failure = (error instanceof Error ? error.stack : undefined) ?? String(error)
    }
    await new Promise((resolve) => process.send?.([file, failure], undefined, undefined, resolve))
  }
}

await importAll(process.argv.slice(2))
process.exit()
