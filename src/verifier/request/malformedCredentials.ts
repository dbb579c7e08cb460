/** Counts credentials that are not a bearer token, and explains them to operators once for each scheme. */
import * as Effect from "effect/Effect"
import type { CredentialSource } from "../../core/credentialSource.ts"
import type { SessionSource } from "../../core/sessionCookie.ts"
import type { InvalidRequest } from "../../core/SecurityError.ts"
import { failWith } from "../../core/constantErrors.ts"
import type { CallingFiber } from "../cache/directVerifier.ts"
import { isGiven, give } from "../report/advice.ts"
import { countRequest } from "../report/telemetry.ts"

/** Anyone can send such credentials, so the messages contain no part of them. */
type Source = Pick<CredentialSource | SessionSource, "place" | "form">

const advice = (reason: InvalidRequest["reason"], source: Source | undefined, maxLength: number): string => {
  const place = source?.place ?? "Authorization header"
  switch (reason) {
    case "TooLong":
      return `A request was refused, because its ${place} is longer than BearerToken.MaxLength, which is ${maxLength} characters. If tokens of the issuer are that long, provide a larger BearerToken.MaxLength to the server. For JWTs, raise the maxTokenLength option of the verifier, too. Node refuses more than 16 KiB of headers itself (--max-http-header-size).`
    case "SeveralCredentials":
      if (source !== undefined && "cookie" in source)
        return `A request was refused, because it has two credentials: several session cookies, or a ${place} and an Authorization header. Send one of them. A fetch with a bearer token needs credentials: "omit".`
      return `A request was refused, because it has several ${place}s. Check whether a proxy adds one to that of the client. Only one of them may send it.`
    case "CrossSite":
      return `A request was refused, because a page of another site has sent it, and the browser added the ${place}. If the page is yours, add its origin to trustedOrigins.`
    case "CsrfHeader":
      return `A request was refused, because it has a ${place}, but not the header X-CSRF: 1. Send the header with each request of a script, or change the option csrfHeader.`
    default:
      return source === undefined
        ? "A request was refused, because no bearer token follows Bearer in its Authorization header. Clients must send Bearer, a space, and the token without quotation marks, commas or line breaks."
        : `A request was refused, because its ${place} does not have the required form. Clients must send ${source.form}.`
  }
}

/** Refuses the credentials. The first refusal for each reason logs its advice at Warn. */
export const refuse = (
  error: InvalidRequest,
  authenticator: object,
  source: Source | undefined,
  maxLength: number,
  fiber: CallingFiber
): Effect.Effect<never, InvalidRequest> => {
  countRequest(error.reason, fiber.context)
  const refused = failWith(error)
  return isGiven(authenticator, error.reason)
    ? refused
    : Effect.andThen(give(advice(error.reason, source, maxLength), authenticator, error.reason), refused)
}
