// Measures what importing each entry point of the built package loads: the modules and bytes of each package.
import { existsSync, readFileSync, statSync } from "node:fs"
import { registerHooks } from "node:module"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { Load, Loads } from "./compare.ts"

const root = join(import.meta.dirname, "..", "..")

const readEntryPoints = (): ReadonlyMap<string, string> => {
  const { exports, name } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly name: string
    readonly exports: Readonly<Record<string, string | null | { readonly default: string }>>
  }
  return new Map(
    Object.entries(exports).flatMap(([key, target]) =>
      target !== null && typeof target === "object"
        ? [[key.replace(/^\./, name), pathToFileURL(join(root, target.default)).href] as const]
        : []
    )
  )
}

/** The package that a module belongs to. */
const packageOf = (path: string): string =>
  /.*node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(path)?.[1]?.replaceAll("\\", "/") ?? "effect-oauth2"

const sizes = (urls: Iterable<string>): Loads => {
  const sums: Record<string, Load> = {}
  for (const url of urls) {
    if (!url.startsWith("file:")) continue
    const path = fileURLToPath(url)
    const name = packageOf(path)
    const { bytes, modules } = sums[name] ?? { bytes: 0, modules: 0 }
    sums[name] = { modules: modules + 1, bytes: bytes + statSync(path).size }
  }
  return sums
}

/** The modules and bytes that each entry point loads, by package. */
export const measureImports = async (): Promise<ReadonlyMap<string, Loads>> => {
  const entryPoints = readEntryPoints()
  for (const url of entryPoints.values()) {
    if (!existsSync(fileURLToPath(url))) throw new Error("The package is not built. Run `npm run build`.")
  }
  // A module that two entry points import is loaded once, so each import is recorded with the module that has it.
  const imported = new Map<string, Set<string>>()
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      const result = next(specifier, context)
      const parent = context.parentURL ?? ""
      imported.set(parent, (imported.get(parent) ?? new Set()).add(result.url))
      return result
    }
  })
  for (const url of entryPoints.values()) await import(url)
  hooks.deregister()
  return new Map(
    [...entryPoints].map(([specifier, url]) => {
      const loaded = new Set([url])
      for (const module of loaded) for (const other of imported.get(module) ?? []) loaded.add(other)
      return [specifier, sizes(loaded)] as const
    })
  )
}
