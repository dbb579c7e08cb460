/** A script of a page in a browser. The server of the page has the api. The test reads the result. */
import { callTyped, runChecks, withoutSockets } from "./checks.ts"

const token = new URL(location.href).searchParams.get("token") ?? ""

Object.assign(globalThis, {
  results: runChecks(withoutSockets(), {
    "typed `HttpApiClient`": () =>
      callTyped({ origin: location.origin, fetch: globalThis.fetch.bind(globalThis) }, token)
  })
})
