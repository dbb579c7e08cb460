/** Says whether the tests can use a real keychain: the Secret Service of GNOME. CI requires it on Linux. */
import { existsSync } from "node:fs"
import { delimiter, join } from "node:path"

const folders = (process.env["PATH"] ?? "").split(delimiter)

const isInstalled = (name: string) => folders.some((folder) => existsSync(join(folder, name)))

/** Programs that are not installed. */
export const missing: ReadonlyArray<string> = ["dbus-run-session", "gnome-keyring-daemon"].filter(
  (name) => !isInstalled(name)
)

export const isSkipped: boolean = process.platform !== "linux" || (missing.length > 0 && process.env["CI"] !== "true")

export const message =
  "No Secret Service was found, so the test of the keychain is skipped. Install dbus-daemon and gnome-keyring."
