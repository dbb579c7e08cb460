/**
 * Verifies access tokens by introspection, and shares the responses between the processes of a fleet.
 *
 * **When to use**
 *
 * Use instead of `TokenIntrospection` if several processes verify the same opaque tokens. Together, the processes send
 * fewer introspection requests to your authorization server.
 *
 * **Details**
 *
 * The fleet sends one introspection request for each token in each `freshFor`. A request finds its response in this
 * order: in the token cache of the process, in the shared store, at the authorization server.
 *
 * | situation | what happens |
 * |---|---|
 * | two processes need a token at the same time | the second waits up to 200 milliseconds for the response of the first |
 * | a token is refused | the response stays in the process |
 * | a request fails or is interrupted | nothing is shared |
 * | a token expires | every process checks `exp` again each time it reads the response |
 * | the store is unavailable | the authorization server is asked |
 * | `TokenVerifier.invalidate` | removes the response. With `Revocations.enforce`, all processes ask again |
 * | verifiers with another issuer, audience, endpoint or client ID | share no responses |
 * | a response contains the token | the response stays in the process |
 *
 * The store contains the responses, which name users and scopes, but no tokens. Code that can write to the store can
 * make your APIs accept any token with a known text.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Persistence from "effect/persistence/Persistence"
import * as Redacted from "effect/Redacted"
import { toMillis } from "../core/duration.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import type { NeedsHttpClient } from "../core/missing.ts"
import { refuseOption } from "../core/refuseOption.ts"
import type { ConfigurationError } from "../core/SecurityError.ts"
import * as commands from "../stores/commands.ts"
import { ReplayStore } from "../stores/ReplayStore.ts"
import type { TokenCaching } from "./cache/options.ts"
import { directOf, toService } from "./cache/directVerifier.ts"
import type { ClientKey, ClientSecret, OtherCredentials, Policy } from "./introspection/options.ts"
import * as sharedAnswers from "./introspection/sharedAnswers.ts"
import * as verifier from "./introspection/verify.ts"
import * as KeySet from "./KeySet.ts"
import { TokenVerifier } from "./TokenVerifier.ts"

/**
 * Options of the shared responses.
 *
 * @category models
 * @since 0.1.0
 */
export interface SharingOptions extends commands.CommandOptions {
  /**
   * How long the fleet uses a response, counted from the introspection request. This bounds how late a revocation at the
   * authorization server may be. Between 1 second and 24 hours.
   *
   * @default "1 minute"
   */
  readonly freshFor?: Duration.Input
  /**
   * First part of the name of the store: `<prefix>.v1.intro`. Give each application its own prefix.
   *
   * @default "effect-oauth2"
   */
  readonly prefix?: string
}

/** The version of the stored format. */
const version = "v1"

const notRemoved =
  "The shared response of an invalidated token may be used until it is no longer fresh, because the store is unavailable. Call TokenVerifier.invalidate again."

/**
 * Creates a `TokenVerifier` like `TokenIntrospection.layer`, which shares its responses.
 *
 * **Details**
 *
 * The layer needs two stores: `BackingPersistence` of `effect/persistence` for the responses, and a `ReplayStore`, so
 * that of several processes one asks the authorization server.
 *
 * **Example** (Sharing responses over Redis)
 *
 * ```ts
 * import { NodeRedis } from "@effect/platform-node"
 * import { Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { Persistence } from "effect/persistence"
 * import { ReplayStore } from "effect-oauth2/ReplayStore"
 * import * as SharedIntrospection from "effect-oauth2/SharedIntrospection"
 *
 * export const Verifier = SharedIntrospection.layer({
 *   issuer: "https://idp.example.com",
 *   audience: "https://api.example.com",
 *   clientId: "items-api",
 *   clientSecret: Redacted.make("the API's own secret"),
 *   freshFor: "30 seconds",
 *   prefix: "items-api"
 * }).pipe(
 *   Layer.provide(Layer.merge(Persistence.layerBackingRedis, ReplayStore.layerRedis({ prefix: "items-api" }))),
 *   Layer.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379", disableOfflineQueue: true })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Policy & (ClientSecret | ClientKey | OtherCredentials) & TokenCaching & SharingOptions
): Layer.Layer<TokenVerifier, ConfigurationError, NeedsHttpClient | Persistence.BackingPersistence | ReplayStore> =>
  Layer.effect(
    TokenVerifier,
    Effect.gen(function* () {
      const own = ownProperties(options)
      const { audience, endpoint, freshFor: input = "1 minute", issuer, prefix = "effect-oauth2" } = own
      const freshFor = toMillis(input)
      if (!(freshFor >= 1000 && freshFor <= 24 * 3_600_000)) {
        return yield* refuseOption("freshFor", "must be a duration between 1 second and 24 hours")
      }
      if (typeof prefix !== "string" || !/^[\w.-]{1,100}$/.test(prefix)) {
        return yield* refuseOption("prefix", "must have 1 to 100 letters, digits, or characters of ._-")
      }
      const { make } = yield* Persistence.BackingPersistence
      const { addOnce } = yield* ReplayStore
      const sharing: sharedAnswers.Sharing = {
        store: yield* make(`${prefix}.${version}.intro`),
        commands: yield* commands.make("SharedIntrospection", own),
        addOnce,
        verifier: JSON.stringify([
          version,
          issuer,
          typeof audience === "string" ? [audience] : audience,
          endpoint ?? "discovered",
          // The server may respond differently to different clients (RFC 7662 §2.2).
          own.clientId ?? "",
          own.signedResponses === true
        ]),
        freshFor,
        context: yield* Effect.context<never>()
      }
      const service = yield* verifier.make(own, yield* signingKeysOf(own), sharedAnswers.make(sharing))
      // Remove the shared response first: a request in between would cache it again.
      return {
        ...toService(directOf(service), () => {}),
        invalidate: (token) =>
          Effect.andThen(
            Effect.catch(sharedAnswers.remove(sharing, Redacted.value(token)), ({ reason }) =>
              Effect.annotateLogs(Effect.logError(notRemoved), { store: "SharedIntrospection", reason })
            ),
            service.invalidate(token)
          )
      }
    })
  )

/** Finds the keys of the issuer if its responses are signed. */
const signingKeysOf = Effect.fnUntraced(function* ({
  httpHosts,
  issuer,
  signedResponses = false
}: Pick<Policy, "httpHosts" | "issuer" | "signedResponses">) {
  if (typeof signedResponses !== "boolean") return yield* refuseOption("signedResponses", "must be true or false")
  if (!signedResponses) return
  const options = httpHosts === undefined ? { issuer } : { issuer, httpHosts }
  // Not memoized, because each verifier needs the keys of its own issuer.
  return Context.get(yield* Layer.build(Layer.fresh(KeySet.layerDiscovery(options))), KeySet.KeySet)
})
