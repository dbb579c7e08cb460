/** Debian's Chromium without a window, by playwright-core, which brings no browser of its own. */
import { Context, Effect, Layer } from "effect"
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"

/** Where the browser is; `CHROMIUM_PATH` names another. */
export const path: string | undefined = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((candidate) => candidate !== undefined && existsSync(candidate))

/** In CI a missing browser is a failure and not a test less. */
export const missing: boolean = path === undefined && process.env["CI"] !== "true"

export const hint = "install Chromium (apt-get install chromium), or set CHROMIUM_PATH"

const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      // Chromium's sandbox does not work for root, who runs the tests in a container.
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      // Nothing goes out by itself: the tests are on this machine alone.
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-gpu",
      "--disable-quic",
      "--disable-sync",
      "--no-first-run"
    ]
  })

export class Chromium extends Context.Service<Chromium, Browser>()("test/Chromium") {
  static readonly layer = Layer.effect(
    Chromium,
    Effect.acquireRelease(
      path === undefined ? Effect.die(new Error(`There is no browser: ${hint}`)) : Effect.promise(() => launch(path)),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}
