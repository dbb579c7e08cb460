/**
 * Starts the example `web-app` for browsers: a Redis server, the authorization server, two processes of the app, and a
 * proxy that serves https. A test chooses the process for each request, kills a process, and moves the clock of the app.
 */
import { Context, Effect, Layer, Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { createServer } from "node:http"
import { createServer as createTlsServer } from "node:https"
import { join } from "node:path"
import type { Browser, BrowserContext, Page } from "playwright-core"
import { AuthorizationServer } from "../../scratchpad/items-api/AuthorizationServer.ts"
import { audience } from "../../scratchpad/support/Addresses.ts"
import * as Processes from "../../scratchpad/support/Processes.ts"
import * as Proxy from "../../scratchpad/web-app/Proxy.ts"
import { registration, scopes } from "../../scratchpad/web-app/Registration.ts"
import { selfSigned } from "../support/certificates.ts"
import { freePort } from "../support/program.ts"
import * as redisServer from "../support/redisServer.ts"
import * as Chromium from "./Chromium.ts"

/** `true` if the tests must be skipped. In CI, they fail if a program is missing. */
export const missing: boolean = Chromium.missing || redisServer.missing

if (redisServer.decision.message !== undefined) process.stderr.write(`${redisServer.decision.message}\n`)

/** A browser must be able to restore a page that the user left. Playwright disables this by default. */
export const Browsers = Chromium.Chromium.layerWith({ ignoreDefaultArgs: ["--disable-back-forward-cache"] })

/** A request that the app received. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly status: number
  /** Name of the process. */
  readonly process: string
  /** Value of `Sec-Fetch-Site`. */
  readonly site: string | undefined
  readonly hasSession: boolean
}

/** Milliseconds since the start of a sign-in after which the attempt has expired. */
export const afterExpiry = 11 * 60_000

const sessionCookie = "__Host-session"

export class WebApp extends Context.Service<
  WebApp,
  {
    /** Public origin of the app. */
    readonly origin: string
    readonly issuer: string
    /** Requests of browsers so far. */
    readonly received: Array<Received>
    /**
     * Chooses the process for each path, until the next call. `undefined` refuses the request. Without a function, each
     * process serves in turn.
     */
    readonly route: (choose?: (path: string) => "1" | "2" | undefined) => void
    /** Moves the clock of every process to the given number of milliseconds from now. */
    readonly moveClock: (millis: number) => Promise<void>
    /** Kills a process. */
    readonly kill: (name: "1" | "2") => Promise<void>
    /** Starts a process again. */
    readonly restart: (name: "1" | "2") => Promise<void>
    /** Lets a test begin without sessions and notes, with both processes, at the time of now. */
    readonly reset: () => Promise<void>
    /** Number of sessions in Redis. */
    readonly sessions: () => Promise<number>
    /** Texts of the notes of a user in Redis. */
    readonly notes: (user: string) => Promise<unknown>
  }
>()("test/browser/WebApp") {
  static readonly layer = Layer.effect(
    WebApp,
    Effect.gen(function* () {
      const [port, internalPort] = yield* Effect.all([freePort, freePort])
      const origin = `https://app.localhost:${port}`
      const redis = yield* redisServer.RedisServer.make
      const { issuer } = yield* Effect.map(
        Layer.build(
          AuthorizationServer.layer({
            port: 0,
            audience,
            redirectUris: [],
            origins: [],
            scopes: Object.keys(scopes),
            otherClients: [registration(origin, `http://127.0.0.1:${internalPort}`)]
          })
        ),
        (context) => Context.get(context, AuthorizationServer)
      )
      const settings = {
        REDIS_URL: `redis://127.0.0.1:${redis.port}`,
        LOGIN_SECRET: "a secret of the login with 32 bytes or more",
        PUBLIC_URL: origin,
        AUTHORIZATION_SERVER_PORT: new URL(issuer).port
      }
      const scope = yield* Effect.scope
      const running = new Map<string, { readonly child: ChildProcess; readonly target: Proxy.Target }>()
      const start = (name: string) =>
        Effect.map(
          Processes.start(join(import.meta.dirname, "webProcess.ts"), settings),
          ({ address, child }) => void running.set(name, { child, target: { name, address } })
        )
      yield* Effect.all([start("1"), start("2")], { concurrency: "unbounded" })

      const received: Array<Received> = []
      let choose: ((path: string) => string | undefined) | undefined
      const inTurn = Proxy.roundRobin(() => Array.from(running.values(), ({ target }) => target))
      const chosen = new WeakMap<object, string>()
      const target = (request: { readonly url?: string | undefined }) => {
        const target = choose === undefined ? inTurn() : running.get(choose(request.url ?? "") ?? "")?.target
        if (target !== undefined) chosen.set(request, target.name)
        return target
      }
      const server = createTlsServer(selfSigned("app.localhost"))
      server.on("request", (incoming, outgoing) =>
        outgoing.on("finish", () =>
          received.push({
            method: incoming.method ?? "",
            path: incoming.url ?? "",
            status: outgoing.statusCode,
            process: chosen.get(incoming) ?? "",
            site: incoming.headers["sec-fetch-site"],
            hasSession: incoming.headers.cookie?.includes(`${sessionCookie}=`) === true
          })
        )
      )
      yield* Proxy.serve(server, port, target)
      yield* Proxy.serve(createServer(), internalPort, inTurn)

      const moveClock = async (millis: number) => {
        for (const { child } of running.values()) {
          await new Promise((resolve) => {
            child.once("message", resolve)
            child.send(millis)
          })
        }
      }
      const restart = (name: "1" | "2") => Effect.runPromise(Effect.provideService(start(name), Scope.Scope, scope))

      return {
        origin,
        issuer,
        received,
        route: (given) => {
          choose = given
        },
        moveClock,
        kill: (name) =>
          new Promise((resolve) => {
            const { child } = running.get(name) ?? {}
            running.delete(name)
            child?.once("exit", () => resolve())
            child?.kill("SIGKILL")
          }),
        restart,
        reset: async () => {
          choose = undefined
          received.length = 0
          for (const name of ["1", "2"] as const) if (!running.has(name)) await restart(name)
          await moveClock(0)
          await Effect.runPromise(redis.command("FLUSHALL"))
        },
        sessions: async () => {
          const keys = await Effect.runPromise(redis.command("KEYS", "web-app:v1:sess:*"))
          return Array.isArray(keys) ? keys.length : -1
        },
        notes: (user) => Effect.runPromise(redis.command("LRANGE", `web-app:notes:${user}`, "0", "-1"))
      }
    })
  )
}

/** A browser of a person, with its own cookies, that does what a person does. */
export class Visitor {
  readonly context: BrowserContext
  readonly page: Page
  /** Exceptions in pages, and violations of their Content-Security-Policy. */
  readonly complaints: Array<string> = []
  readonly #origin: string

  private constructor(context: BrowserContext, page: Page, origin: string) {
    this.context = context
    this.page = page
    this.#origin = origin
  }

  static async open(browser: Browser, origin: string): Promise<Visitor> {
    // The certificate of the proxy is self-signed.
    const context = await browser.newContext({ ignoreHTTPSErrors: true })
    context.setDefaultTimeout(60_000)
    const self = new Visitor(context, await context.newPage(), origin)
    context.on("weberror", (error) => self.complaints.push(String(error.error())))
    context.on("console", (message) => {
      if (/content.security.policy/i.test(message.text())) self.complaints.push(message.text())
    })
    return self
  }

  /** Opens a page of the app as a typed address, and returns the status. */
  async goto(path: string, page = this.page): Promise<number> {
    const response = await page.goto(`${this.#origin}${path}`)
    return response?.status() ?? 0
  }

  /** Fills in the form of the authorization server, and waits until the browser is back at the app. */
  async submitName(name: string, page = this.page): Promise<void> {
    await page.getByLabel("Your name").fill(name)
    await page.getByRole("button", { name: "Sign in" }).click()
    await page.waitForURL(`${this.#origin}/**`)
  }

  async signIn(name: string): Promise<void> {
    await this.goto("/")
    await this.page.getByRole("link", { name: "Sign in", exact: true }).click()
    await this.submitName(name)
  }

  /** Signs out at the app and at the authorization server. */
  async signOut(page = this.page): Promise<void> {
    await page.getByRole("button", { name: "Sign out", exact: true }).click()
    await page.waitForURL(/\/session\/end/)
    await page.getByRole("button", { name: "Sign out" }).click()
    await page.waitForURL(`${this.#origin}/`)
  }

  async signOutEverywhere(): Promise<void> {
    await this.page.getByRole("button", { name: "Sign out everywhere" }).click()
    await this.page.waitForURL(/\/session\/end|\/$/)
  }

  /** Adds a note by the script of the page, and waits for the list. */
  async addNote(text: string): Promise<void> {
    await this.page.getByLabel("New note").fill(text)
    await this.page.getByRole("button", { name: "Add" }).click()
    await this.page.getByRole("listitem").filter({ hasText: text }).waitFor()
  }

  /** Returns who is signed in, as the page says. */
  user(page = this.page): Promise<string> {
    return page.locator("main b").innerText()
  }

  text(page = this.page): Promise<string> {
    return page.locator("main").innerText()
  }

  /** Returns who is signed in, as the app says to a script of its page. */
  async signedInAs(): Promise<string | undefined> {
    const page = await this.context.newPage()
    await this.goto("/", page)
    const session: { readonly subject?: string } = await page.evaluate(async () => (await fetch("/session")).json())
    await page.close()
    return session.subject
  }

  /** Returns the status of the API for a script of the page. */
  async api(): Promise<number> {
    const page = await this.context.newPage()
    await this.goto("/", page)
    const status = await page.evaluate(async () => (await fetch("/api/notes", { headers: { "X-CSRF": "1" } })).status)
    await page.close()
    return status
  }

  /** Returns the cookies of the app by name. */
  async cookies(): Promise<Readonly<Record<string, string>>> {
    const cookies = await this.context.cookies(this.#origin)
    return Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
  }
}

/** The app, as it is at the beginning of a test. */
export const fresh = Effect.tap(WebApp, ({ reset }) => Effect.promise(reset))

export const open = Effect.gen(function* () {
  const { origin } = yield* WebApp
  const browser = yield* Chromium.Chromium
  return yield* Effect.acquireRelease(
    Effect.promise(() => Visitor.open(browser, origin)),
    ({ context }) => Effect.promise(() => context.close())
  )
})
