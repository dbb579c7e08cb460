/** Sends a request with a token, and once more with another one if the API wants that. */
import * as Effect from "effect/Effect"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { type RequestError, ScopesRequired, StepUpRequired } from "./clientErrors.ts"
import type { ClientToken, ClientTokens } from "./clientToken.ts"
import { parse } from "./receivedChallenges.ts"

interface Attempt<E, R> {
  readonly request: HttpClientRequest.HttpClientRequest
  /** `undefined` if the address of the API is not known here. A DPoP proof needs it. */
  readonly url: URL | undefined
  /** What a wider set of scopes is remembered for: an origin, or an endpoint. */
  readonly place: string
  /** Scopes to ask for. `undefined`: those of the source. */
  readonly scopes: ReadonlyArray<string> | undefined
  readonly send: (request: HttpClientRequest.HttpClientRequest) => Effect.Effect<HttpClientResponse, E, R>
}

/** Returns a function that sends requests. It remembers wider scopes and nonces, as many as there are places. */
export const make = (source: ClientTokens, ceiling: ReadonlySet<string>) => {
  const widened = new Map<string, ReadonlyArray<string>>()
  const nonces = new Map<string, string>()

  return <E, R>({
    place,
    request,
    scopes,
    send,
    url
  }: Attempt<E, R>): Effect.Effect<HttpClientResponse, E | RequestError, R> => {
    const current = () => widened.get(place) ?? scopes
    const get = () => {
      const asked = current()
      return source.get(asked === undefined ? {} : { scopes: asked })
    }

    const sendWith = Effect.fnUntraced(function* (token: ClientToken) {
      const headers = { authorization: `${token.type} ${Redacted.value(token.value)}` }
      if (token.proof !== undefined && url === undefined) return yield* Effect.die(new TypeError(noUrl))
      const proof =
        token.proof === undefined || url === undefined
          ? undefined
          : yield* token.proof({ method: request.method, url, nonce: nonces.get(url.origin) })
      const response = yield* send(
        HttpClientRequest.setHeaders(request, proof === undefined ? headers : { ...headers, dpop: proof })
      )
      const nonce = response.headers["dpop-nonce"]
      if (proof !== undefined && url !== undefined && nonce !== undefined && nonce.length <= maxNonceLength) {
        nonces.set(url.origin, nonce)
      }
      return response
    })

    /** Returns the token of the second try, or `undefined` if there is none. */
    const nextTry = Effect.fnUntraced(function* (answer: Answer, token: ClientToken) {
      const canRepeat = isReplayable(request)
      switch (answer._tag) {
        case "Nonce":
          return canRepeat ? { token, scopes: undefined } : undefined
        case "Refused": {
          yield* source.forget(token)
          if (!canRepeat) return
          const fresh = yield* get()
          // A source with one token has no other.
          return fresh === token ? undefined : { token: fresh, scopes: undefined }
        }
        case "Scopes": {
          const wider = widerScopes(answer.scopes, current() ?? Array.from(token.scopes), ceiling)
          if (wider === undefined) return yield* Effect.fail(new ScopesRequired({ scopes: answer.scopes }))
          if (canRepeat) return { token: yield* source.get({ scopes: wider }), scopes: wider }
          // The program has to send the stream again, and needs the wider token then.
          widened.set(place, wider)
          return
        }
      }
    })

    return Effect.gen(function* () {
      const token = yield* get()
      const response = yield* sendWith(token)
      const answer = yield* answerTo(response, token, url !== undefined && nonces.has(url.origin))
      if (answer === undefined) return response
      const again = yield* nextTry(answer, token)
      if (again === undefined) return response
      yield* discard(response)
      const second = yield* sendWith(again.token)
      // The wider token was accepted, so the next requests start with it.
      if (again.scopes !== undefined && second.status !== 401 && second.status !== 403) {
        widened.set(place, again.scopes)
      }
      return second
    })
  }
}

const noUrl =
  "auth.client: a DPoP proof contains the address of the API, which a typed client adds only afterwards. Set the baseUrl option of auth.client."

/** Returns the scopes to ask for, or `undefined` if the wanted scopes are not new or exceed the ceiling. */
const widerScopes = (
  wanted: ReadonlyArray<string>,
  asked: ReadonlyArray<string>,
  ceiling: ReadonlySet<string>
): ReadonlyArray<string> | undefined => {
  const isNew = wanted.some((scope) => !asked.includes(scope))
  if (!isNew || !wanted.every((scope) => ceiling.has(scope) || asked.includes(scope))) return
  return Array.from(new Set([...asked, ...wanted]))
}

type Answer =
  | { readonly _tag: "Refused" }
  | { readonly _tag: "Nonce" }
  | { readonly _tag: "Scopes"; readonly scopes: ReadonlyArray<string> }

// Each proof contains the last nonce of the API. An API must not choose how much memory its nonce takes.
const maxNonceLength = 1024

/** Reads what the API says about the token. `undefined` means that the token is not the cause. */
const answerTo = (
  { headers, status }: HttpClientResponse,
  { type }: ClientToken,
  hasNonce: boolean
): Effect.Effect<Answer | undefined, StepUpRequired> => {
  if (status !== 401 && status !== 403) return Effect.undefined
  // A 401 of a proxy has a challenge of another scheme.
  const challenge = parse(headers["www-authenticate"] ?? "").find(({ scheme }) => scheme === type.toLowerCase())
  if (challenge === undefined) return Effect.undefined
  const { parameters } = challenge
  const scopes = words(parameters.get("scope"))
  switch (parameters.get("error")) {
    case undefined:
    case "invalid_token":
      return status === 401 ? Effect.succeed<Answer>({ _tag: "Refused" }) : Effect.undefined
    case "use_dpop_nonce":
      return hasNonce ? Effect.succeed<Answer>({ _tag: "Nonce" }) : Effect.undefined
    case "insufficient_scope":
      return scopes.length > 0 ? Effect.succeed<Answer>({ _tag: "Scopes", scopes }) : Effect.undefined
    case "insufficient_user_authentication": {
      const maxAge = parameters.get("max_age") ?? ""
      return Effect.fail(
        new StepUpRequired({
          acrValues: words(parameters.get("acr_values")),
          maxAge: /^\d{1,10}$/.test(maxAge) ? Number(maxAge) : undefined,
          scopes
        })
      )
    }
    default:
      return Effect.undefined
  }
}

const words = (value: string | undefined): ReadonlyArray<string> =>
  value === undefined ? [] : value.split(" ").filter((word) => /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/.test(word))

/** A stream is used up by the first try. */
export const isReplayable = ({ body }: HttpClientRequest.HttpClientRequest): boolean =>
  body._tag === "Empty" || body._tag === "Uint8Array" || body._tag === "FormData"

/** Frees the connection of a response that is not read. */
export const discard = ({ stream }: HttpClientResponse) => Effect.ignore(Stream.runDrain(Stream.take(stream, 16)))
