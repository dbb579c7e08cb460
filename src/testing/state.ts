/** What a test issuer knows, and how tests change it. */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { toMillis } from "../internal/duration.ts"
import { own } from "../internal/jwt/strictJson.ts"
import type { Algorithm } from "../JwtVerifier.ts"
import type { Answer, Endpoint, IssuerRequest, SigningKey } from "./model.ts"
import { makeKey } from "./signingKey.ts"

/** What an issuer knows. */
export interface State {
  /** All that can sign. */
  readonly keys: ReadonlyArray<SigningKey>
  readonly current: SigningKey
  /** The key set's members, which may be anything. */
  readonly published: ReadonlyArray<unknown>
  readonly answers: Readonly<Record<Endpoint, Answer>>
  readonly requests: ReadonlyArray<IssuerRequest>
  /** How many tokens it has minted. */
  readonly tokens: number
}

// What a test asks for and cannot be is a mistake in the test: it dies, and says what there is.
export const mistake = (message: string) => Effect.die(new Error(`TestIssuer: ${message}`))

/** A duration of a test's, in milliseconds. */
export const millis = (what: string, input: Duration.Input, least = -Infinity): Effect.Effect<number> => {
  const value = toMillis(input)
  return Number.isFinite(value) && value >= least
    ? Effect.succeed(value)
    : mistake(`${what} must be a finite duration${least === 0 ? " that is not negative" : ""}, such as "5 seconds"`)
}

const names = (kids: ReadonlyArray<string>): string => (kids.length === 0 ? "none" : kids.join(", "))

export const initial = (given: ReadonlyArray<Algorithm | SigningKey>): Effect.Effect<State> =>
  Effect.gen(function* () {
    const keys: Array<SigningKey> = []
    for (const key of given) keys.push(yield* resolve(keys, key))
    const current = keys[0]
    if (current === undefined) return yield* mistake('keys must have at least one, such as "RS256"')
    return {
      keys,
      current,
      published: keys.map((key) => key.jwk),
      answers: {
        "openid-configuration": "normal",
        "oauth-authorization-server": "normal",
        jwks: "normal",
        introspection: "normal"
      },
      requests: [],
      tokens: 0
    }
  })

const resolve = (existing: ReadonlyArray<SigningKey>, key: Algorithm | SigningKey): Effect.Effect<SigningKey> =>
  typeof key === "string" ? makeKey(freeName(existing, key), key) : Effect.succeed(key)

const freeName = (existing: ReadonlyArray<SigningKey>, algorithm: Algorithm, number = 1): string => {
  const kid = `${algorithm}-${number}`
  return existing.some((key) => key.kid === kid) ? freeName(existing, algorithm, number + 1) : kid
}

export const find = (state: State, key: string | SigningKey | undefined): Effect.Effect<SigningKey> => {
  if (key === undefined) return Effect.succeed(state.current)
  if (typeof key !== "string") return Effect.succeed(key)
  const found = state.keys.find(({ kid }) => kid === key)
  return found === undefined
    ? mistake(`there is no key "${key}"; its keys are: ${names(state.keys.map(({ kid }) => kid))}`)
    : Effect.succeed(found)
}

export const rotate = (ref: Ref.Ref<State>, given: Algorithm | SigningKey | undefined): Effect.Effect<SigningKey> =>
  Effect.gen(function* () {
    const { current, keys } = yield* Ref.get(ref)
    const algorithm = given ?? current.alg
    if (algorithm === "HS256" || algorithm === "HS384" || algorithm === "HS512") {
      return yield* mistake("rotate makes no secrets: give it the key")
    }
    const key = yield* resolve(keys, algorithm)
    yield* Ref.update(ref, (state) => ({
      ...state,
      keys: [...state.keys, key],
      current: key,
      published: [...state.published, key.jwk]
    }))
    return key
  })

export const retire = (ref: Ref.Ref<State>, kid: string): Effect.Effect<void> =>
  Effect.flatMap(Ref.get(ref), ({ published }) => {
    const kids = published.map(kidOf)
    return kids.includes(kid)
      ? Ref.update(ref, (state) => ({ ...state, published: state.published.filter((jwk) => kidOf(jwk) !== kid) }))
      : mistake(`no key "${kid}" is published; these are: ${names(kids.filter((name) => name !== undefined))}`)
  })

const kidOf = (jwk: unknown): string | undefined => {
  const kid = own(jwk, "kid")
  return typeof kid === "string" ? kid : undefined
}
