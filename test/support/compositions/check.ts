/** Builds a program, sends requests, and compares the result with the model. */
import { Cause, Effect, Exit } from "effect"
import { Running } from "./build.ts"
import { mayReach, type Meaning, meaningOf, mustReach, type Refusal, type Route, scopesOf } from "./model.ts"
import { places, type Program } from "./program.ts"
import { textOf } from "./text.ts"

export interface Checked {
  readonly program: Program
  readonly meaning: Meaning
  /** Describes each difference from the model. Empty if the program is right. */
  readonly wrong: ReadonlyArray<string>
}

/** Returns `true` if a message explains the refusal. */
const says = (message: string, { requirement, why }: Refusal): boolean => {
  switch (why) {
    case "order":
      return /\bcombine/.test(message) && /outside/i.test(message)
    case "misplaced":
      return (
        requirement?.parts.every(({ scheme, scope }) => message.includes(scheme) && message.includes(scope)) ?? false
      )
    case "secured":
      return message.includes("OAuth2.secured")
  }
}

const refusalText = ({ requirement, why }: Refusal): string =>
  requirement === undefined ? why : `${why} (${requirement.name})`

/** Returns a description if the program must start, or if the error does not explain the refusal. */
const startText = (defect: unknown, { refusals }: Meaning): ReadonlyArray<string> => {
  const message = String(defect instanceof Error ? defect.message : defect)
  if (refusals.length === 0) return [`must start, and does not: ${message}`]
  if (defect instanceof TypeError && refusals.some((refusal) => says(message, refusal))) return []
  return [`does not start, as it should (${refusals.map(refusalText).join(", ")}), but says: ${String(defect)}`]
}

const tokenText = (token: string | undefined) => (token === undefined ? "no token" : `the token ${token}`)

const request = Effect.fnUntraced(function* (running: Running, route: Route, token: string | undefined) {
  const { names, status, subject } = yield* running.send(route.app, route.path, token)
  const where = `app ${route.app} ${route.path} with ${tokenText(token)} (${status})`
  const wrong = Array.from(new Set(names)).flatMap((name) =>
    mayReach(route, name, token) ? [] : [`${where} reaches ${name}`]
  )
  const isReached = names.includes(route.handler)
  if (status === 404 && names.length === 0) return { isFound: false, wrong }
  // A handler that verifies the token itself runs, and may respond with 401.
  if (mustReach(route, token) && !(isReached && (status === 200 || route.asks !== undefined))) {
    wrong.push(`${where} does not reach ${route.handler}`)
  }
  const guards = route.chain.flatMap((link) => (link.is === "guard" ? [link] : []))
  const askers = route.asks === undefined ? guards.map(({ verifier }) => verifier) : [route.asks]
  const subjects = askers.flatMap(({ tokens }) => (tokens === "stub" ? "demo" : (token ?? [])))
  if (subject !== undefined && !subjects.includes(subject)) wrong.push(`${where} is taken for ${subject}`)
  if (isReached && route.asks !== undefined) {
    const isKnown = scopesOf(route.asks, "Users", token) !== undefined
    if (!isKnown && subject !== undefined) wrong.push(`${where} reveals what only ${route.asks.name} may tell`)
    if (isKnown && token !== undefined && guards.length === 0 && subject === undefined)
      wrong.push(`${where} is not known to ${route.asks.name}`)
  }
  return { isFound: true, wrong }
})

/** Sends each token to each route. */
const requests = Effect.fnUntraced(function* (running: Running, { routes }: Meaning) {
  const all: Array<string> = []
  const found = new Set<Route["source"]>()
  for (const route of routes) {
    for (const token of [undefined, "garbage", ...running.program.tokens]) {
      const { isFound, wrong } = yield* request(running, route, token)
      all.push(...wrong)
      if (isFound) found.add(route.source)
      // Effect builds a shared layer of routes once, so the routes appear at one of its places.
      else if (routes.every(({ app, source }) => source !== route.source || app === route.app)) {
        all.push(`app ${route.app} ${route.path} is not found`)
      }
    }
  }
  for (const { app, path, source } of routes) if (!found.has(source)) all.push(`app ${app} ${path} is found nowhere`)
  return all
})

/** Checks that layers with state are not built more often than needed. */
const builds = (running: Running, { groups }: Meaning): ReadonlyArray<string> => {
  const { program } = running
  const isOneMemoMap = program.builds.every(({ apps }) => apps.length > 0)
  // Servers, `Layer.fresh` and prebuilt contexts have memo maps of their own.
  if (!isOneMemoMap || places(program).some(({ is }) => is === "fresh" || is === "prebuilt" || is === "server"))
    return []
  const wrong = Array.from(new Set(places(program))).flatMap((node) => {
    const count = running.builds.get(node) ?? 0
    return node.is === "database" && count > 1 ? [`a database is built ${count} times`] : []
  })
  for (const node of new Set(groups.map(({ node }) => node))) {
    const verifiers = groups.flatMap((group) => (group.node === node ? [group.verifier] : []))
    const stubs = verifiers.filter((verifier) => verifier?.tokens === "stub")
    const limit = stubs.length + new Set(verifiers.filter((verifier) => verifier?.tokens !== "stub")).size
    const count = running.builds.get(node) ?? 0
    if (count > limit) wrong.push(`a group is built ${count} times for ${limit} verifiers`)
  }
  return wrong
}

export const check = (program: Program): Effect.Effect<Checked> => {
  const meaning = meaningOf(program)
  return Effect.gen(function* () {
    const running = yield* Running.start(program)
    const wrong = [...(yield* requests(running, meaning)), ...builds(running, meaning)]
    return meaning.refusals.length === 0
      ? wrong
      : [`must not start (${meaning.refusals.map(refusalText).join(", ")}), and does`, ...wrong]
  }).pipe(
    Effect.scoped,
    Effect.exit,
    Effect.map((exit) => ({
      program,
      meaning,
      wrong: Exit.isSuccess(exit) ? exit.value : startText(Cause.squash(exit.cause), meaning)
    }))
  ) as Effect.Effect<Checked>
}

/** Describes a failure: the first differences, and the program. */
export const failureText = ({ program, wrong }: Checked): string => {
  const more = wrong.length > 5 ? [`and ${wrong.length - 5} more`] : []
  return [...wrong.slice(0, 5), ...more, textOf(program)].join("\n")
}
