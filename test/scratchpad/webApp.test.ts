/** Runs the example `web-app` by its command, signs in over sockets, and stops it as Ctrl-C does. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { type IncomingHttpHeaders, request } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { freePort } from "../support/program.ts"
import * as redisServer from "../support/redisServer.ts"

const main = join(import.meta.dirname, "..", "..", "scratchpad", "main.ts")

interface Sent {
  readonly method?: "GET" | "POST"
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

// The function fetch sends Sec-Fetch-Mode: cors, so the app would not redirect to the sign-in.
const send = (url: URL, { body, headers, method = "GET" }: Sent): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }))
    })
    sent.on("error", reject)
    sent.end(body)
  })

/** Cookies of one browser, by host. They do not depend on the port. */
const makeBrowser = () => {
  const jars = new Map<string, Map<string, string>>()
  const once = async (address: string, sent: Sent = {}): Promise<Answer> => {
    const url = new URL(address)
    const jar = jars.get(url.hostname) ?? new Map<string, string>()
    jars.set(url.hostname, jar)
    const cookie = Array.from(jar, ([name, value]) => `${name}=${value}`).join("; ")
    const headers = { accept: "text/html", ...(cookie !== "" && { cookie }), ...sent.headers }
    const response = await send(url, { ...sent, headers })
    for (const line of response.headers["set-cookie"] ?? []) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === "") jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }
  /** Follows redirects, and returns the last address and response. */
  const visit = async (address: string, sent?: Sent): Promise<readonly [string, Answer]> => {
    const response = await once(address, sent)
    const { location } = response.headers
    return location === undefined ? [address, response] : visit(new URL(location, address).href)
  }
  return { request: once, visit }
}

const isOpen = (port: string) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(Number(port), "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })

/** Sends requests until the port is open, and returns the first status. */
const firstStatus = async (address: string): Promise<number> => {
  for (;;) {
    const response = await fetch(address).catch(() => undefined)
    if (response !== undefined) return response.status
  }
}

describe.skipIf(redisServer.missing)("the example web-app", () => {
  it("signs in and out over two processes, and ends all of its processes with Ctrl-C", async () => {
    const [port, issuerPort] = await Effect.runPromise(Effect.all([freePort, freePort]))
    const child = spawn(process.execPath, ["--conditions=@effect-oauth2/source", main, "web-app"], {
      env: {
        PATH: process.env["PATH"],
        REDIS_SERVER: redisServer.path,
        PORT: String(port),
        AUTHORIZATION_SERVER_PORT: String(issuerPort)
      },
      stdio: ["ignore", "pipe", "inherit"],
      // Ctrl-C in a terminal reaches every process of the group.
      detached: true
    })
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
    let stdout = ""
    try {
      assert.strictEqual(await firstStatus(`http://localhost:${port}/`), 200)
      for await (const text of child.stdout.setEncoding("utf8")) {
        stdout += text
        if (stdout.includes("Ctrl-C ends the program.")) break
      }
      const origin = `http://localhost:${port}`
      assert.match(stdout, new RegExp(`^Open ${origin}$`, "m"))
      const browser = makeBrowser()
      const [form, page] = await browser.visit(`${origin}/notes`)
      assert.strictEqual(new URL(form).origin, `http://127.0.0.1:${issuerPort}`)
      assert.include(page.text, "Your name")
      const [address, notes] = await browser.visit(form, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "login=alice"
      })
      assert.deepStrictEqual([address, notes.status], [`${origin}/notes`, 200])
      assert.include(notes.text, "You are signed in as <b>alice</b>.")

      const body = JSON.stringify({ text: "a note" })
      const api = `${origin}/api/notes`
      const json = { accept: "application/json" }
      const script = { ...json, "x-csrf": "1", origin }
      assert.strictEqual(
        (await browser.request(api, { method: "POST", body, headers: { ...json, origin } })).status,
        400
      )
      assert.strictEqual((await browser.request(api, { method: "POST", body, headers: script })).status, 201)
      const responses = [
        await browser.request(api, { headers: script }),
        await browser.request(api, { headers: script })
      ]
      assert.sameMembers(
        responses.map(({ headers }) => headers["x-process"]),
        ["1", "2"]
      )
      for (const response of responses) assert.deepStrictEqual(JSON.parse(response.text), ["a note"])

      const out = await browser.request(`${origin}/sign-out-everywhere`, { method: "POST", headers: { origin } })
      assert.deepStrictEqual([out.status, out.headers.location], [307, "/logout"])
      for (const _ of ["1", "2"]) {
        assert.strictEqual((await browser.request(api, { headers: script })).status, 401)
      }
    } finally {
      process.kill(-(child.pid ?? 0), "SIGINT")
      child.stdout.resume()
    }
    assert.strictEqual(await ended, 130)
    const ports = Array.from(stdout.matchAll(/:\/\/[^:]+:(\d+)/g), ([, port = ""]) => port)
    assert.lengthOf(ports, 5)
    assert.deepStrictEqual(await Promise.all(ports.map(isOpen)), [false, false, false, false, false])
  }, 300_000)
})
