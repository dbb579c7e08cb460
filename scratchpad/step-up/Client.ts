/** A client that signs in with the authorization code grant, and steps up if the API asks for it. */
import { Duration, Effect, Schema } from "effect"
import type { SecurityError } from "effect-oauth2"
import { createHash, randomBytes } from "node:crypto"
import { clientId, redirectUri } from "./AuthorizationServer.ts"

const Tokens = Schema.Struct({ access_token: Schema.String, refresh_token: Schema.String })

/** What the client asks the authorization server for. */
export interface Request {
  readonly scope: string
  readonly acr_values?: string
  readonly max_age?: string
}

/** Turns the challenge of the API into the next authorization request (RFC 9470 §4). */
export const requestFor = (
  { acrValues, maxAge, required }: SecurityError.InsufficientUserAuthentication,
  scope: string
): Request => ({
  scope: Array.from(new Set([...scope.split(" "), ...required])).join(" "),
  ...(acrValues.length === 0 ? {} : { acr_values: acrValues.join(" ") }),
  ...(maxAge === undefined ? {} : { max_age: String(Duration.toSeconds(maxAge)) })
})

/** A browser with the cookies of the user. */
export const makeBrowser = (issuer: string) => {
  const cookies = new Map<string, string>()

  const follow = async (url: string): Promise<URL> => {
    const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join("; ")
    const response = await fetch(url, { redirect: "manual", headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";")
      const name = pair.slice(0, pair.indexOf("="))
      cookies.set(name, pair.slice(name.length + 1))
    }
    const location = response.headers.get("location")
    if (location === null) throw new Error(`The authorization server responded with ${response.status}.`)
    const next = new URL(location, url)
    return next.href.startsWith(redirectUri) ? next : follow(next.href)
  }

  const tokens = (parameters: Record<string, string>) =>
    Effect.flatMap(
      Effect.promise(async (): Promise<unknown> => {
        const body = new URLSearchParams({ client_id: clientId, ...parameters })
        return (await fetch(`${issuer}/token`, { method: "POST", body })).json()
      }),
      Schema.decodeUnknownEffect(Tokens)
    )

  const signIn = (request: Request) =>
    Effect.gen(function* () {
      const verifier = randomBytes(32).toString("base64url")
      const query = new URLSearchParams({
        response_type: "code",
        client_id: clientId,
        redirect_uri: redirectUri,
        code_challenge: createHash("sha256").update(verifier).digest("base64url"),
        code_challenge_method: "S256",
        ...request
      })
      const callback = yield* Effect.promise(() => follow(`${issuer}/auth?${query}`))
      return yield* tokens({
        grant_type: "authorization_code",
        code: callback.searchParams.get("code") ?? "",
        redirect_uri: redirectUri,
        code_verifier: verifier
      })
    })

  const refresh = (refresh_token: string) => tokens({ grant_type: "refresh_token", refresh_token })

  return { signIn, refresh }
}
