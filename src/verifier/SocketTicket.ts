/**
 * Tickets that open a WebSocket in place of an access token.
 *
 * **When to use**
 *
 * Browsers cannot set the `Authorization` header of a WebSocket. A page gets a ticket with an authenticated HTTP request,
 * and sends the ticket when it opens the WebSocket.
 *
 * **Details**
 *
 * - A ticket is valid once, and for 30 seconds (`lifetime`). It has 256 random bits.
 * - A ticket stands for the access token of the request that got the ticket. `auth.proveToken` verifies this token again,
 *   so a ticket has the user and the scopes of the token, and ends with the token.
 * - If the request has an `Origin` header, only a page of this origin can use the ticket.
 * - The tickets are in the memory of the process, as SHA-256 digests.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Base64Url from "effect/encoding/Base64Url"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { AccessToken, type VerifiedToken } from "../core/AccessToken.ts"
import { BearerToken } from "../core/BearerToken.ts"
import { constant } from "../core/constantErrors.ts"
import { crossSite } from "../core/crossSite.ts"
import * as duration from "../core/duration.ts"
import { fieldOf } from "../core/effect/receivedRequest.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"
import { refuseOption } from "../core/refuseOption.ts"
import { type ConfigurationError, InvalidToken, type InvalidRequest } from "../core/SecurityError.ts"
import * as invalidations from "./cache/invalidations.ts"
import { Tickets } from "./ticket/tickets.ts"

/**
 * Options for `SocketTicket.layer`.
 *
 * @category models
 * @since 0.1.0
 */
export interface SocketTicketOptions {
  /** How long a ticket is valid, between 1 second and 5 minutes. @default "30 seconds" */
  readonly lifetime?: Duration.Input
  /** The maximum number of unused tickets. A new ticket replaces the oldest. @default 10_000 */
  readonly capacity?: number
  /** The maximum number of unused tickets of one user (`iss` and `sub`). A new ticket replaces the oldest. @default 100 */
  readonly perUser?: number
}

const malformed = constant(new InvalidToken({ reason: "Malformed" }))
const expired = constant(new InvalidToken({ reason: "Expired" }))
const rejected = constant(new InvalidToken({ reason: "Rejected" }))

// 32 bytes in base64url without padding.
const form = /^[\w-]{43}$/

const digestOf = (ticket: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(ticket))),
    (digest) => Base64Url.encode(new Uint8Array(digest))
  )

const makeTicket = Effect.sync(() => Base64Url.encode(crypto.getRandomValues(new Uint8Array(32))))

const readOptions = Effect.fnUntraced(function* (options: SocketTicketOptions) {
  const { capacity = 10_000, lifetime: input = "30 seconds", perUser = 100 } = ownProperties(options)
  const lifetime = duration.toMillis(input)
  if (!(lifetime >= 1000 && lifetime <= 300_000)) {
    return yield* refuseOption("lifetime", 'must be a duration between 1 second and 5 minutes, such as "30 seconds"')
  }
  for (const [name, value] of Object.entries({ capacity, perUser })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      return yield* refuseOption(name, "must be a whole number of tickets above 0")
    }
  }
  return { bounds: { capacity, perUser }, lifetime }
})

/**
 * Service that issues and redeems tickets for WebSockets.
 *
 * **When to use**
 *
 * `layer` stores the tickets in the memory of one process. If several processes serve one API, provide your own service,
 * with a store that deletes a ticket when it reads the ticket.
 *
 * **Example** (Issuing a ticket, and opening a WebSocket with it)
 *
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
 * import { BearerToken, OAuth2, SocketTicket } from "effect-oauth2"
 * import { auth } from "./auth.ts"
 *
 * const Issue = HttpRouter.add(
 *   "POST",
 *   "/tickets",
 *   Effect.map(SocketTicket.issue, (ticket) => HttpServerResponse.jsonUnsafe({ ticket: Redacted.value(ticket) }))
 * ).pipe(auth.require("items:read"))
 *
 * const hello = Effect.gen(function* () {
 *   const { subject } = yield* auth.token
 *   const { upgrade } = yield* HttpServerRequest.HttpServerRequest
 *   const socket = yield* upgrade
 *   yield* socket.reader
 *   const { write } = yield* socket.writer
 *   yield* write(`hello ${subject}`)
 *   return HttpServerResponse.empty()
 * })
 *
 * // The page calls new WebSocket(url, ["chat", "bearer." + ticket]).
 * const chat = Effect.gen(function* () {
 *   const token = yield* Effect.flatMap(BearerToken.fromSubprotocol, SocketTicket.redeem).pipe(Effect.catch(auth.refuse))
 *   return yield* Effect.scoped(hello).pipe(auth.proveToken(token, "items:read"))
 * })
 *
 * export const Routes = Layer.mergeAll(
 *   Issue,
 *   HttpRouter.add("GET", "/chat", chat).pipe(OAuth2.Public("the sub-protocol carries a ticket"))
 * ).pipe(OAuth2.secured, HttpRouter.provideRequest(SocketTicket.layer()))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class SocketTicket extends Context.Service<
  SocketTicket,
  {
    /** Creates a ticket for a verified token. `credential` is the token itself. */
    readonly issue: (
      token: VerifiedToken,
      credential: Redacted.Redacted,
      origin: string | undefined
    ) => Effect.Effect<Redacted.Redacted>
    /** Returns the credential of a ticket. `origin` is that of the request that presents the ticket. */
    readonly redeem: (
      ticket: Redacted.Redacted,
      origin: string | undefined
    ) => Effect.Effect<Redacted.Redacted, InvalidToken | InvalidRequest>
  }
>()("effect-oauth2/SocketTicket") {
  /**
   * Creates the layer that stores tickets in memory.
   *
   * **Details**
   *
   * An invalid option fails with a `ConfigurationError`.
   *
   * **Example** (Issuing tickets that are valid for 10 seconds)
   *
   * ```ts
   * import { SocketTicket } from "effect-oauth2"
   *
   * export const Tickets = SocketTicket.layer({ lifetime: "10 seconds" })
   * ```
   *
   * @since 0.1.0
   */
  static layer(options: SocketTicketOptions = {}): Layer.Layer<SocketTicket, ConfigurationError> {
    return Layer.effect(
      SocketTicket,
      Effect.map(readOptions(options), ({ bounds, lifetime }) => {
        const tickets = new Tickets(bounds)
        return SocketTicket.of({
          issue: ({ issuer, subject }, credential, origin) =>
            Effect.gen(function* () {
              const since = invalidations.soFar()
              const ticket = yield* makeTicket
              const digest = yield* digestOf(ticket)
              const now = yield* Clock.currentTimeMillis
              const owner = JSON.stringify([issuer, subject])
              tickets.add(digest, { credential, owner, origin, expiresAt: now + lifetime, invalidations: since }, now)
              return Redacted.make(ticket, { label: "socket_ticket" })
            }),
          redeem: (ticket, origin) =>
            Effect.gen(function* () {
              const text = Redacted.value(ticket)
              if (!form.test(text)) return yield* Effect.fail(malformed)
              const entry = tickets.take(yield* digestOf(text))
              if (entry === undefined) return yield* Effect.fail(rejected)
              if ((yield* Clock.currentTimeMillis) >= entry.expiresAt) return yield* Effect.fail(expired)
              if (entry.origin !== undefined && entry.origin !== origin) return yield* Effect.fail(crossSite)
              // The verifier would accept a JWT again after `TokenVerifier.invalidate`, which only clears its cache.
              const isInvalidated = invalidations.isInvalidated(Redacted.value(entry.credential), entry.invalidations)
              return isInvalidated ? yield* Effect.fail(rejected) : entry.credential
            })
        })
      })
    )
  }

  /**
   * Creates a ticket for the token of the current request.
   *
   * **Details**
   *
   * Only a requirement provides the token, so an unprotected route does not compile. If the request has an
   * `Origin` header, the ticket is bound to this origin. Browsers send the header with each `POST`, so issue tickets in
   * response to `POST`.
   *
   * **Example** (Issuing a ticket)
   *
   * ```ts
   * import { Effect, Redacted } from "effect"
   * import { HttpRouter, HttpServerResponse } from "effect/http"
   * import { SocketTicket } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * export const Issue = HttpRouter.add(
   *   "POST",
   *   "/tickets",
   *   Effect.map(SocketTicket.issue, (ticket) => HttpServerResponse.jsonUnsafe({ ticket: Redacted.value(ticket) }))
   * ).pipe(auth.require("items:read"))
   * ```
   *
   * @since 0.1.0
   */
  static readonly issue: Effect.Effect<
    Redacted.Redacted,
    never,
    SocketTicket | AccessToken | BearerToken | HttpServerRequest
  > = Effect.flatMap(
    Effect.all([SocketTicket, AccessToken, BearerToken, HttpServerRequest]),
    ([{ issue }, token, credential, request]) => issue(token, credential, fieldOf(request, "origin"))
  )

  /**
   * Returns the access token of a ticket, and removes the ticket.
   *
   * **Details**
   *
   * Verify the token with `auth.proveToken`. The ticket cannot be used again, also if this effect fails.
   *
   * | failure | cause |
   * |---|---|
   * | `InvalidToken`, `Malformed` | the text is not a ticket |
   * | `InvalidToken`, `Expired` | the ticket is older than its lifetime |
   * | `InvalidToken`, `Rejected` | the ticket is unknown or was used, or its token was invalidated |
   * | `InvalidRequest`, `CrossSite` | a page of another origin uses the ticket |
   *
   * **Example** (Redeeming the first message of a WebSocket)
   *
   * ```ts
   * import { Effect, Redacted } from "effect"
   * import { SocketTicket } from "effect-oauth2"
   * import { auth } from "./auth.ts"
   *
   * export const onFirstMessage = (ticket: string) =>
   *   Effect.flatMap(SocketTicket.redeem(Redacted.make(ticket)), (token) =>
   *     Effect.map(auth.token, ({ subject }) => `hello ${subject}`).pipe(auth.proveToken(token, "items:read"))
   *   )
   * ```
   *
   * @since 0.1.0
   */
  static readonly redeem = (
    ticket: Redacted.Redacted
  ): Effect.Effect<Redacted.Redacted, InvalidToken | InvalidRequest, SocketTicket | HttpServerRequest> =>
    Effect.flatMap(Effect.all([SocketTicket, HttpServerRequest]), ([{ redeem }, request]) =>
      redeem(ticket, fieldOf(request, "origin"))
    )
}
