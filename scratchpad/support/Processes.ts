/** Starts the processes of an example. In production, your platform does this. */
import { Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { type ChildProcess, fork } from "node:child_process"

/** Starts a program with settings in environment variables, and waits until its server listens. */
export const start = Effect.fnUntraced(function* (file: string, settings: Readonly<Record<string, string>>) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(file, { env: { ...process.env, ...settings }, execArgv: ["--conditions=@effect-oauth2/source"] })
    ),
    (child) => end(child, "SIGTERM")
  )
  return yield* Effect.callback<{ readonly address: string; readonly child: ChildProcess }>((resume) => {
    child.once("message", (address) => resume(Effect.succeed({ address: address as string, child })))
    child.once("exit", (code) => resume(Effect.die(new Error(`${file} ended with code ${code}.`))))
  })
})

/** Ends a process, if it runs, and waits for its end. Ctrl-C in a terminal reaches every process of the example. */
export const end = (child: ChildProcess, signal: NodeJS.Signals) =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill(signal)
  })

/** Runs in the started program: sends the address of its server, and ends with the process that started it. */
export const ready = Layer.effectDiscard(
  Effect.gen(function* () {
    const { address } = yield* HttpServer.HttpServer
    process.on("disconnect", () => process.exit())
    process.send?.(HttpServer.formatAddress(address))
  })
)
