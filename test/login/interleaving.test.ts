// Random interleavings of tabs, callbacks, refreshes, logouts and crashes of processes. Whatever their order, no browser
// gets the session of another user, each refresh token is redeemed once, and no request passes after a logout.
import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Layer, Redacted, Schema } from "effect"
import { Sessions } from "effect-oauth2/login"
import { TestIssuer } from "effect-oauth2/testing"
import { TestClock } from "effect/testing"
import * as Jose from "jose"
import { Browser, makeApp, requestsAt } from "../support/loginApp.ts"
import { settle } from "../support/settle.ts"
import { layerOf } from "../support/testIssuers.ts"

const users = ["alice", "bob"] as const
const actions = [
  "start",
  "finish",
  "finish",
  "finishOfOther",
  "replay",
  "token",
  "parallelTokens",
  "parallelTokens",
  "parallelTokens",
  "interruptedToken",
  "interruptedToken",
  "signOut",
  "backChannel",
  "backChannelOfUser",
  "waitForExpiry",
  "waitForExpiry",
  "waitForExpiry",
  "waitLong",
  "crash",
  "outage",
  "recovery"
] as const

const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
const step = Arbitrary.all({ action: int(actions.length - 1), user: int(1), process: int(1) })

/** A user with a browser, which has several tabs. */
interface Person {
  readonly name: string
  readonly jar: Browser["jar"]
  /** Addresses of responses of the provider that no tab has opened yet. */
  readonly responses: Array<string>
  readonly opened: Array<string>
}

const subjectOf = (token: string): unknown => (token.startsWith("eyJ") ? Jose.decodeJwt(token).sub : undefined)

const run = Effect.fnUntraced(function* (
  steps: ReadonlyArray<{ readonly action: number; readonly user: number; readonly process: number }>
) {
  const { mintLogoutToken, respond } = yield* TestIssuer
  // Two processes with one store. A crash replaces a process.
  const processes = [yield* makeApp(), yield* makeApp()]
  const people: ReadonlyArray<Person> = users.map((name) => ({ name, jar: new Map(), responses: [], opened: [] }))
  const ended: Array<{ readonly jar: Person["jar"]; readonly value: string }> = []

  let isOutage = false

  const browserOf = (person: Person, process: number): Browser => {
    const browser = processes[process]?.() ?? assert.fail("There are two processes.")
    for (const [name, stored] of person.jar) browser.jar.set(name, stored)
    return browser
  }
  const keep = (person: Person, browser: Browser) => {
    person.jar.clear()
    for (const [name, stored] of browser.jar) person.jar.set(name, stored)
  }
  const sessionOf = ({ jar }: Person) => jar.get("__Host-session")?.value
  /** From now on, the session of the browser must not work. */
  const expectEnd = (person: Person) => {
    const value = sessionOf(person)
    if (value !== undefined) ended.push({ jar: new Map(person.jar), value })
  }

  const perform = Effect.fnUntraced(function* (action: (typeof actions)[number], person: Person, process: number) {
    const browser = browserOf(person, process)
    const open = (address: string | undefined) =>
      address === undefined
        ? Effect.void
        : Effect.gen(function* () {
            const former = sessionOf(person)
            const before = new Map(person.jar)
            yield* browser.visit(address, { from: "cross-site" })
            keep(person, browser)
            if (former !== undefined && sessionOf(person) !== former) ended.push({ jar: before, value: former })
          })
    const tokenOf = Effect.map(browser.token, (token) => {
      const subject = subjectOf(token)
      if (subject !== undefined) assert.strictEqual(subject, person.name)
    })
    switch (action) {
      case "start": {
        const { location } = yield* browser.visit(`/login?login_hint=${person.name}`)
        keep(person, browser)
        person.responses.push(yield* browser.answer(location))
        return
      }
      case "finish": {
        const address = person.responses.shift()
        if (address !== undefined) person.opened.push(address)
        return yield* open(address)
      }
      case "finishOfOther":
        return yield* open(people.find((other) => other !== person)?.responses[0])
      case "replay":
        return yield* open(person.opened.at(-1))
      case "token":
        return yield* tokenOf
      case "parallelTokens": {
        const others = [browser, browserOf(person, 1 - process)]
        const tokens = yield* Effect.all(
          Array.from({ length: 6 }, (_, i) => (others[i % 2] ?? browser).token),
          { concurrency: 6 }
        )
        for (const token of tokens) assert.include([person.name, undefined], subjectOf(token))
        return
      }
      case "interruptedToken": {
        if (isOutage) return
        yield* respond("token", { delay: "1 second" })
        const { length } = yield* requestsAt("token")
        const fiber = yield* Effect.forkChild(browser.token, { startImmediately: true })
        // Either the token is not due, or the refresh is in progress.
        while (fiber.pollUnsafe() === undefined && (yield* requestsAt("token")).length === length) yield* settle
        yield* settle
        yield* Fiber.interrupt(fiber)
        yield* respond("token", "normal")
        const next = yield* Effect.forkChild(tokenOf)
        yield* TestClock.adjust("1 second")
        return yield* Fiber.join(next)
      }
      case "signOut":
        expectEnd(person)
        yield* browser.signOut()
        return keep(person, browser)
      case "backChannel":
      case "backChannelOfUser": {
        const session = yield* browser.session
        if (session["signedIn"] !== true) return
        const { sid } = action === "backChannel" ? yield* sidOf(browser) : { sid: undefined }
        expectEnd(person)
        const token = yield* mintLogoutToken({
          audience: "web",
          ...(sid === undefined ? { subject: person.name } : { sessionId: sid })
        })
        const { status } = yield* browser.visit("/backchannel-logout", { form: { logout_token: token } })
        assert.strictEqual(status, 200)
        return
      }
      case "waitForExpiry":
        return yield* TestClock.adjust("10 minutes")
      case "waitLong":
        return yield* TestClock.adjust("13 hours")
      case "crash":
        processes[process] = yield* makeApp()
        return
      case "outage":
        return yield* respond("token", "unreachable")
      case "recovery":
        return yield* respond("token", "normal")
    }
  })

  /** The session at the issuer, which only the store knows. */
  const sidOf = (browser: Browser) =>
    Effect.gen(function* () {
      const sessions = yield* Sessions
      const cookie = Redacted.make(browser.jar.get("__Host-session")?.value ?? "")
      const session = yield* Effect.flatMap(sessions.read(cookie), Effect.fromOption)
      return { sid: session.sessionId }
    })

  const used: Array<string> = []
  let counted = 0

  for (const person of people) {
    yield* perform("start", person, 0)
    yield* perform("finish", person, 0)
  }
  for (const { action, process, user } of steps) {
    const person = people[user] ?? assert.fail("There are two users.")
    const name = actions[action] ?? assert.fail("There is no such action.")
    yield* perform(name, person, process)
    if (name === "outage") isOutage = true
    if (name === "recovery") isOutage = false
    for (const person of people) {
      const session = yield* browserOf(person, process).session
      if (session["signedIn"] === true) assert.strictEqual(session["subject"], person.name)
    }
    const sent = (yield* requestsAt("token")).flatMap(({ parameters }) => parameters?.["refresh_token"] ?? [])
    // The issuer does not get the requests of an outage, so their tokens may be sent again.
    if (!isOutage) used.push(...sent.slice(counted))
    counted = sent.length
    assert.strictEqual(new Set(used).size, used.length, "A refresh token was redeemed twice.")
    for (const { jar } of ended) {
      const copy = browserOf({ name: "", jar, responses: [], opened: [] }, process)
      assert.deepStrictEqual(yield* copy.session, { signedIn: false })
      assert.strictEqual(yield* copy.token, "NotSignedIn")
    }
  }
  const redeemed = (yield* requestsAt("token")).flatMap(({ parameters }) => parameters?.["code"] ?? [])
  assert.strictEqual(new Set(redeemed).size, redeemed.length)
})

it.effect.prop(
  "never mixes users, never passes after a logout, and redeems each code and refresh token once",
  { steps: Arbitrary.array(step, { minLength: 5, maxLength: 40 }) },
  ({ steps }) => run(steps).pipe(Effect.scoped, Effect.provide(Layer.merge(layerOf(), Sessions.layerMemory()))),
  { arbitrary: { runs: 40, seed: 20261130, size: 40 }, timeout: 60_000 }
)
