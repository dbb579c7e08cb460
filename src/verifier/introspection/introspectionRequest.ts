/** Sends introspection requests (RFC 7662 §2.1), and prevents that the failure of one token affects other tokens. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"
import type { Credentials } from "./options.ts"
import { freezeError } from "../../core/lib/exit.ts"
import { Failure } from "../authorizationServer/failure.ts"
import type { Reader } from "../authorizationServer/http.ts"
import { readRetryAfter } from "../authorizationServer/retryAfter.ts"
import { elapsed, readInstant } from "../../core/lib/instant.ts"
import type { Claims } from "../claims/policy.ts"
import { parseText } from "../claims/strictJson.ts"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { CircuitBreaker, maxRetryAfter } from "./circuitBreaker.ts"
import { Endpoint } from "./endpoint.ts"
import { FailingTokens } from "./failingTokens.ts"
import { type Problem, Reports } from "./reports.ts"
import { RequestQueue, Ticket } from "./requestQueue.ts"
import { mediaType, type ReadResponse } from "./signedResponse.ts"

const timeLimit = Duration.seconds(5)

/** Time that a server must have had for a response before its silence counts, in milliseconds. */
const leastTimeForResponse = 250

/** Pause after a failed request before the next request for the same token, in milliseconds. */
const coolDown = 1000

/**
 * Statuses of an overloaded server, or of a gateway that cannot reach the server. Other statuses do not show an outage.
 */
const overloaded: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** Statuses whose `Retry-After` header says when the server is available again (RFC 6585 §4, RFC 9110 §15.6.4). */
const withRetryAfter: ReadonlySet<number | undefined> = new Set([429, 503])

const isOutage = ({ reason, status }: Failure): boolean =>
  status === undefined ? reason === "Unreachable" || reason === "Timeout" : overloaded.has(status)

const retryAfterOf = ({ retryAfter, status }: Failure, now: number): number | undefined =>
  withRetryAfter.has(status) ? readRetryAfter(retryAfter, now) : undefined

export const make = (options: {
  /** Appears in errors and logs. */
  readonly issuer: string
  readonly reader: Reader
  /** If `true`, requests do not wait for each other. */
  readonly isIsolated: boolean
  readonly endpoint: Effect.Effect<URL, Failure>
  readonly credentials: Effect.Effect<Credentials, unknown>
  /** Reads signed responses. `undefined` if the server responds with JSON. */
  readonly readSigned: ReadResponse | undefined
}) => {
  const { issuer, reader } = options
  const unavailable = (reason: AuthorizationServerUnavailable["reason"], millis = coolDown) =>
    freezeError(new AuthorizationServerUnavailable({ issuer, reason, retryAfter: Duration.millis(millis) }))

  const breaker = new CircuitBreaker()
  const queue = new RequestQueue(breaker, (reason, millis) => Effect.fail(unavailable(reason, millis)))
  const failingTokens = new FailingTokens()
  const endpoint = new Endpoint(options.endpoint, options.isIsolated)
  const reports = new Reports(issuer)

  const credentials = Effect.catchCause(Effect.map(options.credentials, toRequestParts), (cause) =>
    // The error's message may contain a secret, so only its name is logged.
    Effect.andThen(reports.credentials(cause), Effect.fail<Problem>("Credentials"))
  )

  const { readSigned: read = readJson } = options
  const accept = options.readSigned === undefined ? "application/json" : mediaType

  const request = (url: URL, token: string, { headers, parameters }: RequestParts) =>
    HttpClientRequest.post(url, { accept, headers }).pipe(
      HttpClientRequest.bodyUrlParams({ token, token_type_hint: "access_token", ...parameters })
    )

  const exchange = (token: string): Effect.Effect<Claims, Problem> =>
    Effect.all([endpoint.url, credentials]).pipe(
      Effect.flatMap(([url, credentials]) =>
        reader(request(url, token, credentials)).pipe(
          Effect.flatMap(read),
          Effect.filterOrFail(isAnswer, () => new Failure("BadResponse", { detail: "it has no active member" })),
          Effect.mapError((failure) => failure.of("introspection response", url))
        )
      ),
      // A defect or an interrupt of the HttpClient says as much as a server that does not respond.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        () => Effect.fail<Problem>(new Failure("Unreachable"))
      ),
      // The server may close a kept-alive connection at the moment when the request is sent.
      Effect.retry({ times: 1, while: (problem) => problem !== "Credentials" && problem.reason === "Unreachable" })
    )

  const answered = (ticket: Ticket, clock: Clock.Clock): Effect.Effect<void> => {
    const now = readInstant(clock)
    const wasDoubtful = breaker.state(now) !== "closed"
    breaker.answered(now)
    queue.answered(ticket, now)
    return wasDoubtful ? reports.recovery : Effect.void
  }

  /**
   * Returns the error for the token's own request. `answersBefore` is the number of answers when the request started.
   */
  const failed = (
    problem: Problem,
    token: string,
    { endEarly, startedAt }: Ticket,
    answersBefore: number | undefined,
    clock: Clock.Clock
  ): AuthorizationServerUnavailable => {
    if (problem === "Credentials") return unavailable("Unspecified")
    const { reason } = problem
    endpoint.doubt(problem)
    const now = readInstant(clock)
    // A request that has spent its time waiting for its turn has learned nothing.
    const hasWaited =
      startedAt === undefined || (reason === "Timeout" && elapsed(startedAt, now) < leastTimeForResponse)
    if (hasWaited || !isOutage(problem)) return unavailable(reason)
    const retryAfter = retryAfterOf(problem, now.wall)
    const isTokensFailure = breaker.answers !== answersBefore
    // The server might still have answered a request that had to end early.
    if (!endEarly.isOpen()) breaker.failed(now, retryAfter)
    const millis = isTokensFailure ? coolDown : Math.min(Math.max(retryAfter ?? 0, coolDown), maxRetryAfter)
    const error = unavailable(reason, millis)
    failingTokens.add(token, {
      error,
      at: now,
      coolDown: millis,
      answers: isTokensFailure ? undefined : breaker.answers
    })
    return error
  }

  return (token: string): Effect.Effect<Claims, AuthorizationServerUnavailable> =>
    Effect.clockWith((clock) => {
      const now = readInstant(clock)
      const failing = failingTokens.get(token, now, breaker.answers)
      if (failing !== undefined) return Effect.fail(failing)
      const ticket = new Ticket(now)
      let answersBefore: number | undefined
      const started = Effect.suspend(() => {
        answersBefore = breaker.answers
        return Effect.raceFirst(exchange(token), endsEarly(ticket))
      })
      const inTurn = Effect.andThen(options.isIsolated ? queue.turnAlone(ticket) : queue.turn(ticket), started).pipe(
        Effect.timeoutOrElse({ duration: timeLimit, orElse: () => Effect.fail<Problem>(new Failure("Timeout")) }),
        Effect.tap(() => answered(ticket, clock)),
        Effect.catch((reason) =>
          reason instanceof AuthorizationServerUnavailable
            ? Effect.fail(reason)
            : Effect.suspend(() => {
                const error = failed(reason, token, ticket, answersBefore, clock)
                return Effect.andThen(reports.failure(reason, clock), Effect.fail(error))
              })
        )
      )
      return Effect.onExitPrimitive(inTurn, () => {
        queue.leave(ticket, readInstant(clock))
        return undefined
      })
    })
}

/**
 * Fails when the queue needs the request's slot. The yield keeps the queue from being called while it opens the latch.
 */
const endsEarly = ({ endEarly }: Ticket): Effect.Effect<never, Failure> =>
  endEarly.await.pipe(Effect.andThen(Effect.yieldNow), Effect.andThen(Effect.fail(new Failure("Timeout"))))

interface RequestParts {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
}

/** Throws if the custom credentials are invalid. The caller logs the error's name. */
const toRequestParts = (given: Credentials): RequestParts => {
  const { authorization, parameters = {} } = ownProperties(given)
  if (Object.hasOwn(parameters, "token") || Object.hasOwn(parameters, "token_type_hint"))
    throw new TypeError("credentials must not set the parameters token and token_type_hint.")
  return {
    headers: authorization === undefined ? {} : { authorization: textOf(authorization) },
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, textOf(value)]))
  }
}

const textOf = (value: unknown): string => {
  const text = Redacted.isRedacted(value) ? Redacted.value(value) : value
  if (typeof text !== "string") throw new TypeError("credentials must contain only strings and redacted strings.")
  return text
}

const readJson: ReadResponse = ({ text }) => Effect.succeed(parseText(text))

// The only required member of an introspection response (RFC 7662 §2.2).
const isAnswer = (answer: Claims | undefined): answer is Claims => typeof answer?.["active"] === "boolean"
