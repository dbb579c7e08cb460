/** Runs programs of `scratchpad/` as a user does, each in its own process. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { fileURLToPath } from "node:url"

export interface Program {
  readonly process: ChildProcess
  /** The output so far, by stream. */
  readonly output: { stdout: string; stderr: string }
  /** Waits for the end of the process, and returns the exit code or the signal. */
  readonly ended: Effect.Effect<number | NodeJS.Signals | null>
  /** Waits until the standard output contains a text. Dies if the program ends first. */
  readonly waitFor: (text: string) => Effect.Effect<void>
}

export const start = (
  file: string,
  env: Readonly<Record<string, string>>
): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const path = fileURLToPath(new URL(`../../${file}`, import.meta.url))
      const child = spawn(process.execPath, ["--conditions=@effect-oauth2/source", path], {
        env: { PATH: process.env["PATH"], ...env },
        stdio: ["ignore", "pipe", "pipe"]
      })
      const output = { stdout: "", stderr: "" }
      child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text))
      // oidc-provider warns on each version of Node that is newer than itself.
      child.stderr
        .setEncoding("utf8")
        .on("data", (text: string) => (output.stderr += text.replaceAll(/^oidc-provider WARNING: .*\n/gm, "")))
      const exited = once(child, "close")
      return {
        process: child,
        output,
        ended: Effect.map(
          Effect.promise(() => exited),
          ([code, signal]) => code ?? signal
        ),
        waitFor: (text) =>
          Effect.callback<void>((resume) => {
            const check = () => {
              if (output.stdout.includes(text)) resume(Effect.void)
            }
            child.stdout.on("data", check)
            child.on("close", () => resume(Effect.die(new Error(`ended before "${text}": ${JSON.stringify(output)}`))))
            check()
          })
      } satisfies Program
    }),
    ({ ended, process }) =>
      Effect.andThen(
        Effect.sync(() => process.kill("SIGKILL")),
        ended
      )
  )

/** Finds a port that is free now. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})
