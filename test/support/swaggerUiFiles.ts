/** The files of `swagger-ui-dist`, on the disk and on a server of another origin. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { serve } from "../runtimes/programs/serve.ts"
import { manifest, version } from "./documentationPages.ts"

const folder = dirname(fileURLToPath(manifest))
const pathOf = (name: string) => join(folder, name)

const hashOf = (name: string): string =>
  `sha384-${createHash("sha384")
    .update(readFileSync(pathOf(name)))
    .digest("base64")}`

const contentTypes: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css",
  "swagger-ui-bundle.js": "text/javascript",
  "favicon-32x32.png": "image/png"
}

/**
 * Starts a server of the files. Returns its URL with the hashes of the files, and the paths of the files by the names
 * of modules. If `isTampered` is `true`, the served files have another byte.
 */
export const swaggerUi = async (isTampered = false) => {
  const origin = await serve(async (request) => {
    const name = basename(new URL(request.url).pathname)
    const file = new Uint8Array(readFileSync(pathOf(name)))
    return new Response(isTampered ? new Blob([file, "\n"]) : file, {
      headers: { "content-type": contentTypes[name] ?? "", "access-control-allow-origin": "*" }
    })
  })
  return {
    version,
    files: Object.fromEntries(Object.keys(contentTypes).map((name) => [`swagger-ui-data/${name}.bin`, pathOf(name)])),
    hosted: {
      baseUrl: `${origin}/npm/swagger-ui-dist@${version}/`,
      integrity: {
        "swagger-ui.css": hashOf("swagger-ui.css"),
        "swagger-ui-bundle.js": hashOf("swagger-ui-bundle.js")
      }
    }
  }
}
