/** Serves a bundled Worker with workerd. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import type { Readable } from "node:stream"

export interface Workerd {
  readonly origin: string
  /** Returns what workerd has written, such as the errors of the Worker. */
  readonly output: () => string
  readonly stop: () => Promise<void>
}

export interface WorkerOptions {
  /** Path of the bundle. */
  readonly worker: string
  readonly bindings?: Readonly<Record<string, string>>
  /** Files that the Worker imports as bytes, by the name of the module. Wrangler's rule of type `Data` does this. */
  readonly data?: Readonly<Record<string, string>>
}

export const startWorkerd = async (
  program: string,
  { bindings = {}, data = {}, worker }: WorkerOptions
): Promise<Workerd> => {
  const config = join(dirname(worker), "config.capnp")
  const modules = Object.entries(data).map(([name, path]) => {
    copyFileSync(path, join(dirname(worker), basename(path)))
    return `(name = "${name}", data = embed "${basename(path)}")`
  })
  const texts = Object.entries(bindings).map(([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`)
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${[`(name = "worker", esModule = embed "${basename(worker)}")`, ...modules].join(", ")}],
      bindings = [${texts.join(", ")}],
      compatibilityDate = "2026-10-01",
      globalOutbound = "network"
    )),
    (name = "network", network = (allow = ["local"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")]
);
`
  )
  const home = mkdtempSync(join(tmpdir(), "effect-oauth2-workerd-"))
  const child = spawn(program, ["serve", config, "--control-fd=3"], {
    stdio: ["ignore", "pipe", "pipe", "pipe"],
    cwd: home
  })
  let output = ""
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => (output += String(data)))
  const control = child.stdio[3] as Readable
  const started = once(control, "data") as Promise<[Buffer]>
  const line = await Promise.race([started, once(child, "close").then(() => undefined)])
  if (line === undefined) throw new Error(output)
  const { port } = JSON.parse(line[0].toString().split("\n")[0] ?? "") as { readonly port: number }
  return {
    origin: `http://127.0.0.1:${port}`,
    output: () => output,
    stop: async () => {
      const ended = once(child, "close")
      child.kill("SIGKILL")
      await ended
      rmSync(home, { recursive: true })
    }
  }
}
