/** A grant with its key in a real keychain: the Secret Service of GNOME, in a session of its own. */
import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { isSkipped, missing } from "../support/keychain.ts"

describe.skipIf(isSkipped)("a grant with its key in the Secret Service", () => {
  it("is read by every process of the session, and ends with its key", { timeout: 60_000 }, () => {
    assert.deepStrictEqual(missing, [], "Install dbus-daemon and gnome-keyring.")
    const home = mkdtempSync(join(tmpdir(), "keychain-"))
    try {
      const node = `"${process.execPath}" --conditions=@effect-oauth2/source`
      const program = join(import.meta.dirname, "programs", "keychain.ts")
      const script = [
        "echo password | gnome-keyring-daemon --unlock --components=secrets >/dev/null",
        `${node} "${program}" "${join(home, "tokens")}"`
      ].join("\n")
      const { status, stderr, stdout } = spawnSync("dbus-run-session", ["--", "sh", "-c", script], {
        env: { PATH: process.env["PATH"], HOME: home, XDG_RUNTIME_DIR: home },
        encoding: "utf8"
      })
      assert.strictEqual(stdout, "done\n", stderr)
      assert.strictEqual(status, 0, stderr)
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })
})
