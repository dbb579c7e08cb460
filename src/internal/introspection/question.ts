/** Asks the authorization server about a token (RFC 7662 §2.1). */
import type * as Clock from "effect/Clock"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as Semaphore from "effect/Semaphore"
import { AuthorizationServerUnavailable } from "../../SecurityError.ts"
import { type Reader, type Status, type Unavailable, statusIsBad } from "../authorizationServer/http.ts"
import type { Authenticate } from "../../TokenIntrospection.ts"
import type { Claims } from "../jwt/policy.ts"
import { parseText } from "../jwt/strictJson.ts"
import { elapsed, type Instant, readInstant } from "../keySet/instant.ts"
import { shared } from "../verification/shared.ts"
import * as telemetry from "./telemetry.ts"

const questionsAtATime = 64
const timeout = Duration.seconds(5)
const coolDown = Duration.seconds(1)

/** Statuses of a server that answers nobody. What it says of one token alone is no reason not to ask it about others. */
const overloaded: ReadonlySet<Status> = new Set([429, 502, 503, 504])

// RFC 7662 §2.2: the one member that every answer has.
const isAnswer = (answer: Claims | undefined): answer is Claims => typeof answer?.["active"] === "boolean"

interface Outage {
  readonly error: AuthorizationServerUnavailable
  /** `undefined` where the next question may be asked at once. */
  readonly failedAt: Instant | undefined
}

/** What this API shows of itself. */
export interface Authentication extends Authenticate {
  /** Sent in the body, beside the token. */
  readonly parameters: Readonly<Record<string, string>>
}

export const make = (
  options: Authentication & {
    /** Names the server in errors and logs. */
    readonly issuer: string
    readonly reader: Reader
    readonly endpoint: Effect.Effect<URL, Unavailable>
  }
) => {
  const { issuer, parameters, reader } = options
  const semaphore = Semaphore.makeUnsafe(questionsAtATime)
  let found: URL | undefined
  let outage: Outage | undefined

  const find = shared(Effect.tap(options.endpoint, (url) => Effect.sync(() => (found = url))))

  const ask = (token: string): Effect.Effect<Claims, Unavailable | Status> =>
    Effect.suspend(() => (found === undefined ? find : Effect.succeed(found))).pipe(
      Effect.map((url) => HttpClientRequest.post(url, { acceptJson: true })),
      Effect.map(HttpClientRequest.bodyUrlParams({ token, token_type_hint: "access_token", ...parameters })),
      Effect.flatMap(options.authenticate),
      Effect.flatMap(reader),
      Effect.map(({ text }) => parseText(text)),
      Effect.filterOrFail(isAnswer, (): Unavailable => "BadResponse")
    )

  const answered: Effect.Effect<void> = Effect.suspend(() => {
    if (outage === undefined) return Effect.void
    outage = undefined
    return telemetry.reportRecovery(issuer)
  })

  const failed = (reason: Unavailable | Status, clock: Clock.Clock) =>
    Effect.suspend(() => {
      // Where its metadata says may be another place now.
      if (typeof reason === "number") found = undefined
      const isFirst = outage === undefined
      const isOutage = typeof reason === "number" ? overloaded.has(reason) : reason !== "BadResponse"
      const error = new AuthorizationServerUnavailable({ issuer, reason: statusIsBad(reason), retryAfter: coolDown })
      outage = { error, failedAt: isOutage ? readInstant(clock) : undefined }
      return Effect.andThen(telemetry.reportFailure(issuer, reason, isFirst), Effect.fail(error))
    })

  /** What the server says of a token. */
  return (token: string): Effect.Effect<Claims, AuthorizationServerUnavailable> =>
    Effect.clockWith((clock) => {
      if (
        outage?.failedAt !== undefined &&
        elapsed(outage.failedAt, readInstant(clock)) < Duration.toMillis(coolDown)
      ) {
        return Effect.fail(outage.error)
      }
      return ask(token).pipe(
        // A connection that was kept alive may be closed at the moment in which it is used.
        Effect.retry({ times: 1, while: (reason) => reason === "Unreachable" }),
        semaphore.withPermits(1),
        Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail<Unavailable>("Timeout") }),
        // A client that dies is a server that does not answer.
        Effect.catchCauseIf(
          (cause) => !Cause.hasFails(cause),
          (cause) =>
            Effect.andThen(
              outage === undefined
                ? Effect.logError("A question to the authorization server did not end", cause)
                : Effect.void,
              Effect.fail<Unavailable>("Unreachable")
            )
        ),
        Effect.tap(answered),
        Effect.catch((reason) => failed(reason, clock))
      )
    })
}
