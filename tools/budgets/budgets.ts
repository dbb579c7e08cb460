// The limits that `npm run check:budgets` enforces. Each figure is deterministic, so a slow machine does not change it.

import type { Loads, TypeCost } from "./compare.ts"
import type { Program } from "../sizes/measure.ts"

/** For scale: importing `effect` itself loads 247 modules with 5.3 MB. */
const everyEntryPoint: Loads = {
  // The entry points of the package, of Signatures and of Dpop with its two small modules, and the eight chunks of
  // rolldown.config.js. The documentation page is one of them, because its layer must not wait for an import.
  "effect-oauth2": { modules: 16, bytes: 510_000 },
  effect: { modules: 220, bytes: 4_500_000 },
  jose: { modules: 9, bytes: 30_000 }
}

/** The entry points of a fleet load the services for Redis and SQL of Effect. No other entry point loads these. */
const fleet: Loads = { ...everyEntryPoint, effect: { modules: 235, bytes: 4_600_000 } }

/** Entry points that need more of a package than the others. */
const exceptions: Readonly<Record<string, Loads>> = {
  // The test issuer signs tokens.
  "effect-oauth2/testing": {
    ...everyEntryPoint,
    "effect-oauth2": { modules: 5, bytes: 180_000 },
    jose: { modules: 46, bytes: 130_000 }
  },
  // Its route needs the router, the stores and the verifier.
  "effect-oauth2/BackChannelLogout": fleet,
  "effect-oauth2/FailureLimit": fleet,
  "effect-oauth2/ReplayStore": fleet,
  "effect-oauth2/Revocations": fleet,
  "effect-oauth2/SharedIntrospection": fleet,
  // The middleware of effect/ai loads its server, its protocols and effect/rpc.
  "effect-oauth2/Mcp": { ...everyEntryPoint, effect: { modules: 260, bytes: 5_200_000 } }
}

/** Clients load oauth4webapi, and sign proofs with jose. Stores of tokens load the services for Redis and SQL of Effect. */
const client: Loads = {
  ...everyEntryPoint,
  // Nine ways to get a token, each in a module of its own.
  "effect-oauth2": { modules: 17, bytes: 510_000 },
  effect: { modules: 225, bytes: 4_500_000 },
  jose: { modules: 35, bytes: 90_000 },
  oauth4webapi: { modules: 1, bytes: 105_000 }
}

/** A login verifies ID tokens, and talks to the token endpoint as a client does. */
const login: Loads = {
  ...client,
  "effect-oauth2": { modules: 18, bytes: 560_000 },
  effect: { modules: 235, bytes: 4_600_000 }
}

/** What importing an entry point may load, by package. It may load nothing from a package that is not listed. */
export const loadBudgets = (entryPoint: string): Loads =>
  exceptions[entryPoint] ??
  (entryPoint.startsWith("effect-oauth2/login")
    ? login
    : entryPoint.startsWith("effect-oauth2/client")
      ? client
      : everyEntryPoint)

/**
 * What the requirements of an API of 200 endpoints and 21 scopes may add to the work of the compiler, compared with one
 * plain middleware (see `bench/types`).
 */
export const typeBudget: TypeCost = { Instantiations: 76_500, Types: 7_400 }

/**
 * Bytes after gzip that this library may add to a bundle. `added` counts the modules of Effect that only this library
 * uses. The handler has 38 kB of this library and 5 kB of jose. 6.5 kB of it find, fetch and check keys, 5 kB validate
 * claims and explain refusals, 2.6 kB cache tokens. Less than 40 kB would need a handler without the advice in the log
 * (2 kB) and without `node:crypto` (0.8 kB). The handler adds 21 kB of Effect: its `HttpClient` (7 kB), and `HttpApiEndpoint`, `HttpApiMiddleware` and
 * `HttpApiSchema` with their parts of `Schema`, because a requirement protects both routes and endpoints. esbuild keeps
 * 9 kB more of Effect in the client than rolldown does. The client contains `TokenVerifier.layerByForm` (0.6 kB), because
 * bundlers keep the static members of a class.
 */
export const sizeBudgets: Readonly<Record<Program, { readonly added: number; readonly ownAndJose: number }>> = {
  client: { added: 55_500, ownAndJose: 42_000 },
  handler: { added: 83_000, ownAndJose: 64_500 }
}
