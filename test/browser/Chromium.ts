/** Runs an installed Chromium without a window. playwright-core does not contain a browser. */
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { type Browser, chromium, type LaunchOptions } from "playwright-core"

/** Path of the browser. `CHROMIUM_PATH` overrides it. */
export const path: string | undefined = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((candidate) => candidate !== undefined && existsSync(candidate))

/** `true` if the browser tests must be skipped. In CI, they fail if there is no browser. */
export const missing: boolean = path === undefined && process.env["CI"] !== "true"

export const hint = "Install Chromium (apt-get install chromium), or set CHROMIUM_PATH."

const launch = (executablePath: string, options: LaunchOptions): Promise<Browser> =>
  chromium.launch({
    ...options,
    executablePath,
    args: [
      // Chromium's sandbox does not start for root, and containers run the tests as root.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      // The tests must not depend on the network, so stop background requests.
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-gpu",
      "--disable-quic",
      "--disable-sync",
      "--no-first-run"
    ]
  })

export class Chromium extends Context.Service<Chromium, Browser>()("test/Chromium") {
  static readonly layerWith = (options: LaunchOptions) =>
    Layer.effect(
      Chromium,
      Effect.acquireRelease(
        path === undefined
          ? Effect.die(new Error(`No browser was found. ${hint}`))
          : Effect.promise(() => launch(path, options)),
        (browser) => Effect.promise(() => browser.close())
      )
    )

  static readonly layer = Chromium.layerWith({})
}
