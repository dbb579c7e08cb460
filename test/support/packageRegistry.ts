/** Package registry on this machine that has the packages in `node_modules`, so that a test can install them as a user. */
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { basename, dirname, join } from "node:path"

const root = join(import.meta.dirname, "..", "..")

interface Manifest {
  readonly name: string
  readonly version: string
}

const read = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"))

/** Folders of the installed packages by name. A package that the repository depends on comes before nested versions. */
const foldersByName = (): ReadonlyMap<string, ReadonlyArray<string>> => {
  const { packages } = read(join(root, "package-lock.json")) as { readonly packages: Readonly<Record<string, unknown>> }
  const folders = new Map<string, Array<string>>()
  // An alias has another name than its folder.
  const isAlias = (folder: string, name: string) => !folder.endsWith(`node_modules/${name}`)
  for (const folder of Object.keys(packages).filter((path) => existsSync(join(root, path, "package.json")))) {
    if (folder === "") continue
    const { name } = read(join(root, folder, "package.json")) as Manifest
    const found = folders.get(name) ?? []
    if (isAlias(folder, name) || folder.lastIndexOf("node_modules/") > 0) found.push(folder)
    else found.unshift(folder)
    folders.set(name, found)
  }
  return folders
}

/** Sends the files of a package. npm removes the first folder of each path, and accepts an archive without gzip. */
const sendArchive = (folder: string, response: ServerResponse): void => {
  const args = [
    "-cf",
    "-",
    "--exclude=node_modules",
    "--exclude=*.map",
    "-C",
    join(root, dirname(folder)),
    basename(folder)
  ]
  const { stdout } = spawn("tar", args, { stdio: ["ignore", "pipe", "inherit"] })
  stdout.pipe(response)
}

/** Starts the registry, and returns its URL. */
export const serve: Effect.Effect<string, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folders = foldersByName()
      const server = createServer((request, response) => {
        const path = decodeURIComponent(request.url ?? "").slice(1)
        const folder = path.startsWith("archives/") ? path.slice("archives/".length) : undefined
        if (folder !== undefined) return sendArchive(folder, response)
        const found = folders.get(path) ?? []
        if (found.length === 0) return void response.writeHead(404).end("{}")
        const versions = found.map((folder) => {
          const manifest = read(join(root, folder, "package.json")) as Manifest
          const tarball = `http://${request.headers.host}/archives/${encodeURIComponent(folder)}`
          return [manifest.version, { ...manifest, dist: { tarball } }] as const
        })
        response.setHeader("content-type", "application/json").end(
          JSON.stringify({
            name: path,
            "dist-tags": { latest: versions[0]?.[0] },
            versions: Object.fromEntries(versions)
          })
        )
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) =>
      Effect.promise(
        () =>
          new Promise((resolve) => {
            server.close(resolve)
            server.closeAllConnections()
          })
      )
  ),
  (server) => {
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`
  }
)
