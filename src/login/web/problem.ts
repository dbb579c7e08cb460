/** Says why a sign-in or a sign-out did not work, and shows it on a page. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/**
 * Why a sign-in or a sign-out did not work.
 *
 * **Details**
 *
 * | reason | cause |
 * |---|---|
 * | `Expired` | the sign-in took longer than 10 minutes, was used before, or began in another browser |
 * | `Cancelled` | the user, or a rule of the identity provider, refused |
 * | `ProviderRefused` | the identity provider answered with another error |
 * | `ProviderUnavailable` | the identity provider does not answer |
 * | `CheckFailed` | the answer of the identity provider failed a check, which `check` names |
 * | `SignedOut` | the identity provider signed the user out during the sign-in |
 * | `BadRequest` | a parameter is missing, repeated or invalid |
 * | `CrossSite` | another site sent the request |
 * | `StoreUnavailable` | the store of the sessions does not answer |
 *
 * @category models
 * @since 0.1.0
 */
export interface Problem {
  readonly reason:
    | "Expired"
    | "Cancelled"
    | "ProviderRefused"
    | "ProviderUnavailable"
    | "CheckFailed"
    | "SignedOut"
    | "BadRequest"
    | "CrossSite"
    | "StoreUnavailable"
  /** HTTP status of the response. */
  readonly status: number
  /** The check that failed, such as `"nonce"`. */
  readonly check: string | undefined
  /** Path that starts the sign-in again. */
  readonly retryPath: string
}

export class Failed {
  readonly _tag = "Failed"
  readonly reason: Problem["reason"]
  readonly check: string | undefined
  /** A word for the log, which is not shown. */
  readonly cause: string | undefined

  constructor(reason: Problem["reason"], check?: string, cause?: string) {
    this.reason = reason
    this.check = check
    this.cause = cause
  }
}

export const statuses: Readonly<Record<Problem["reason"], number>> = {
  Expired: 400,
  Cancelled: 403,
  ProviderRefused: 502,
  ProviderUnavailable: 503,
  CheckFailed: 403,
  SignedOut: 403,
  BadRequest: 400,
  CrossSite: 403,
  StoreUnavailable: 503
}

const texts: Readonly<Record<Problem["reason"], string>> = {
  Expired: "This sign-in has expired, or it was already used.",
  Cancelled: "The sign-in was cancelled, or you are not allowed to sign in.",
  ProviderRefused: "The identity provider refused the sign-in.",
  ProviderUnavailable: "The identity provider does not answer at the moment.",
  CheckFailed: "The answer of the identity provider is not valid.",
  SignedOut: "You were signed out while you signed in.",
  BadRequest: "The request is not valid.",
  CrossSite: "The request came from another site.",
  StoreUnavailable: "The sign-in does not work at the moment."
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** Headers of every response of a login. */
export const headers = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff"
} as const

/** The page that is shown if the app has no own. */
export const page = ({ check, reason, retryPath, status }: Problem): HttpServerResponse.HttpServerResponse => {
  const detail = check === undefined ? "" : `\n<p>Check: <code>${escape(check)}</code></p>`
  return HttpServerResponse.text(
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign-in</title>
</head>
<body>
<main>
<p role="alert">${texts[reason]}</p>${detail}
<p><a href="${escape(retryPath)}">Sign in again</a></p>
</main>
</body>
</html>
`,
    {
      status,
      contentType: "text/html; charset=utf-8",
      headers: { "content-security-policy": "default-src 'none'; frame-ancestors 'none'" }
    }
  )
}
