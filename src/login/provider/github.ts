/** Asks GitHub who the user of an access token is. GitHub issues no ID tokens. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { isReadonlyObject } from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { TokenUnavailable } from "../../client/ClientError.ts"
import { own } from "../../core/lib/ownProperties.ts"
import { readText } from "../../verifier/authorizationServer/http.ts"
import type { Claims } from "./model.ts"

const maxBytes = 512 * 1024
const timeout = "10 seconds"

export const identifyAt = (issuer: string, api: string) => {
  const unavailable = (reason: TokenUnavailable["reason"]) =>
    new TokenUnavailable({ issuer, reason, retryAfter: Duration.seconds(1) })

  const get = Effect.fnUntraced(function* (path: string, token: Redacted.Redacted) {
    const client = HttpClient.withScope(yield* HttpClient.HttpClient)
    const request = HttpClientRequest.get(`${api}${path}`, {
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${Redacted.value(token)}`,
        // GitHub refuses requests without a user agent.
        "user-agent": "effect-oauth2",
        "x-github-api-version": "2022-11-28"
      }
    })
    return yield* client.execute(request).pipe(
      Effect.mapError(() => unavailable("Unreachable")),
      Effect.flatMap((response) =>
        Effect.map(
          Effect.mapError(readText(response, maxBytes), () => unavailable("BadResponse")),
          (text) => ({ status: response.status, text })
        )
      ),
      Effect.scoped,
      Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" }),
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(unavailable("Timeout")) }),
      Effect.filterOrFail(
        ({ status }) => status < 500 && status !== 429,
        () => unavailable("ServerError")
      )
    )
  })

  const parse = (text: string): Effect.Effect<unknown, TokenUnavailable> =>
    Effect.try({ try: (): unknown => JSON.parse(text), catch: () => unavailable("BadResponse") })

  return Effect.fnUntraced(function* (token: Redacted.Redacted) {
    const user = yield* get("/user", token)
    if (user.status !== 200) return yield* Effect.fail(unavailable("BadResponse"))
    const profile = yield* parse(user.text)
    const id = own(profile, "id")
    // A login name can be given to another person. The number cannot.
    if (typeof id !== "number" || !Number.isSafeInteger(id)) return yield* Effect.fail(unavailable("BadResponse"))
    // Without the scope user:email, the list of addresses has status 403 or 404.
    const emails = yield* get("/user/emails", token)
    const email = emails.status === 200 ? verifiedEmailIn(yield* parse(emails.text)) : undefined
    const claims: Claims = {
      sub: String(id),
      ...textOf(profile, "login", "preferred_username"),
      ...textOf(profile, "name", "name"),
      ...textOf(profile, "avatar_url", "picture"),
      ...(email !== undefined && { email, email_verified: true })
    }
    return { subject: String(id), claims }
  })
}

const textOf = (profile: unknown, member: string, claim: string): Claims => {
  const value = own(profile, member)
  return typeof value === "string" ? { [claim]: value } : {}
}

/** The address of the profile is not verified, so only the list counts. */
const verifiedEmailIn = (list: unknown): string | undefined => {
  if (!Array.isArray(list)) return
  const verified = list.filter(
    (entry): entry is { readonly email: string } =>
      isReadonlyObject(entry) && own(entry, "verified") === true && typeof own(entry, "email") === "string"
  )
  return (verified.find((entry) => own(entry, "primary") === true) ?? verified[0])?.email
}
