/** Asks the authorization server about a token (RFC 7662 §2.1). */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import { AuthorizationServerUnavailable } from "../../SecurityError.ts"
import type { Credentials } from "../../TokenIntrospection.ts"
import { type Reader, type Status, statusIsBad, type Unavailable } from "../authorizationServer/http.ts"
import type { Claims } from "../jwt/policy.ts"
import { parseText } from "../jwt/strictJson.ts"
import { readInstant } from "../instant.ts"
import { ownProperties } from "../ownProperties.ts"
import { Availability, coolDown } from "./availability.ts"
import { Endpoint } from "./endpoint.ts"
import { type Failure, Reports } from "./reports.ts"

const questionsAtATime = 64
const maxWaiting = 1000
const timeout = Duration.seconds(5)

/** Statuses of a server that answers nobody. What it says of one token alone is no reason not to ask it about others. */
const overloaded: ReadonlySet<Failure> = new Set([429, 502, 503, 504])

const isSilence = (reason: Failure): boolean =>
  reason === "Unreachable" || reason === "Timeout" || overloaded.has(reason)

export const make = (options: {
  /** Names the server in errors and logs. */
  readonly issuer: string
  readonly reader: Reader
  readonly endpoint: Effect.Effect<URL, Unavailable | Status>
  readonly credentials: Effect.Effect<Credentials, unknown>
}) => {
  const { issuer, reader } = options
  const semaphore = Semaphore.makeUnsafe(questionsAtATime)
  const availability = new Availability()
  const endpoint = new Endpoint(options.endpoint)
  const reports = new Reports(issuer)
  let underWay = 0

  const unavailable = (reason: AuthorizationServerUnavailable["reason"]) =>
    new AuthorizationServerUnavailable({ issuer, reason, retryAfter: Duration.millis(coolDown) })
  const silent = unavailable("Unreachable")
  const busy = unavailable("Timeout")

  const credentials = Effect.catchCause(Effect.map(options.credentials, read), (cause) =>
    // The error's own text may hold what is secret.
    Effect.andThen(reports.credentials(cause), Effect.fail<Failure>("Credentials"))
  )

  const request = (url: URL, token: string, { headers, parameters }: Read) =>
    HttpClientRequest.post(url, { acceptJson: true, headers }).pipe(
      HttpClientRequest.bodyUrlParams({ token, token_type_hint: "access_token", ...parameters })
    )

  const exchange = (token: string): Effect.Effect<Claims, Failure> =>
    Effect.all([endpoint.url, credentials]).pipe(
      Effect.flatMap(([url, credentials]) => reader(request(url, token, credentials))),
      Effect.map(({ text }) => parseText(text)),
      Effect.filterOrFail(isAnswer, (): Unavailable => "BadResponse"),
      // A client that dies, or gives up by itself, is a server that does not answer.
      Effect.catchCauseIf(
        (cause) => !Cause.hasFails(cause),
        () => Effect.fail<Unavailable>("Unreachable")
      ),
      // A connection that was kept alive may be closed at the moment in which it is used.
      Effect.retry({ times: 1, while: (reason) => reason === "Unreachable" })
    )

  const failed = (reason: Failure, answersBefore: number | undefined, clock: Clock.Clock) =>
    Effect.suspend(() => {
      if (isSilence(reason)) availability.silent(answersBefore, readInstant(clock), typeof reason === "string")
      else if (reason !== "Credentials") availability.heard()
      if (typeof reason === "number") endpoint.doubt(reason)
      return Effect.andThen(
        reports.failure(reason, clock),
        Effect.fail(unavailable(reason === "Credentials" ? "Unspecified" : statusIsBad(reason)))
      )
    })

  /** What the server says of a token. */
  return (token: string): Effect.Effect<Claims, AuthorizationServerUnavailable> =>
    Effect.clockWith((clock) => {
      if (!availability.mayAsk(readInstant(clock))) return Effect.fail(silent)
      if (underWay >= questionsAtATime + maxWaiting) return Effect.fail(busy)
      let isUnderWay = false
      /** Once it is asked: how many were answered before. Who has only waited for its turn knows nothing of the server. */
      let answersBefore: number | undefined
      const question = Effect.suspend(() => {
        if (!availability.mayAsk(readInstant(clock))) return Effect.fail(silent)
        const before = (answersBefore = availability.answers)
        return exchange(token).pipe(
          Effect.tap(() => (availability.answered() ? reports.recovery : Effect.void)),
          Effect.catch((reason) => failed(reason, before, clock))
        )
      })
      const inTurn = question.pipe(
        semaphore.withPermits(1),
        Effect.timeoutOrElse({ duration: timeout, orElse: () => failed("Timeout", answersBefore, clock) })
      )
      // Counted where the end is already sure to be noticed: a fiber may be interrupted between any two effects.
      return Effect.onExitPrimitive(
        Effect.suspend(() => {
          isUnderWay = true
          underWay++
          return inTurn
        }),
        () => {
          if (isUnderWay) underWay--
          return undefined
        }
      )
    })
}

interface Read {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
}

/** Credentials are somebody else's: what is none throws. */
const read = (given: Credentials): Read => {
  const { authorization, parameters = {} } = ownProperties(given)
  if (Object.hasOwn(parameters, "token") || Object.hasOwn(parameters, "token_type_hint"))
    throw new TypeError("parameters are of the client alone")
  return {
    headers: authorization === undefined ? {} : { authorization: textOf(authorization) },
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, textOf(value)]))
  }
}

const textOf = (value: unknown): string => {
  const text = Redacted.isRedacted(value) ? Redacted.value(value) : value
  if (typeof text !== "string") throw new TypeError("a credential is no text")
  return text
}

// RFC 7662 §2.2: the one member that every answer has.
const isAnswer = (answer: Claims | undefined): answer is Claims => typeof answer?.["active"] === "boolean"
