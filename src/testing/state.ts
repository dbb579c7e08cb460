/** The state of a test issuer, and the changes that tests can make to it. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { mistake } from "./lib/mistake.ts"
import type { Algorithm } from "../verifier/keys/algorithms.ts"
import type { IssuerResponse, Endpoint, IssuerRequest, SigningKey } from "./issuerModel.ts"
import { own } from "../core/lib/ownProperties.ts"
import { makeKey } from "./signingKey.ts"

export interface State {
  /** All keys that can sign, including unpublished keys. */
  readonly keys: ReadonlyArray<SigningKey>
  readonly current: SigningKey
  /** Members of the key set. A test may publish any JSON. */
  readonly published: ReadonlyArray<unknown>
  readonly answers: Readonly<Record<Endpoint | "other", IssuerResponse>>
  readonly requests: ReadonlyArray<IssuerRequest>
  /** Number of minted tokens. */
  readonly tokens: number
}

const list = (kids: ReadonlyArray<string>): string =>
  kids.length === 0 ? "none" : kids.map((kid) => JSON.stringify(kid)).join(", ")

export const initial = (given: ReadonlyArray<Algorithm | SigningKey>): Effect.Effect<State> =>
  Effect.gen(function* () {
    const keys: Array<SigningKey> = []
    for (const key of given) keys.push(yield* resolve(keys, key))
    const current = keys[0]
    if (current === undefined) return yield* mistake('keys must not be empty. Pass an algorithm, such as "RS256".')
    return {
      keys,
      current,
      published: keys.map((key) => key.jwk),
      answers: {
        "openid-configuration": "normal",
        "oauth-authorization-server": "normal",
        jwks: "normal",
        introspection: "normal",
        authorization: "normal",
        token: "normal",
        "device-authorization": "normal",
        revocation: "normal",
        "end-session": "normal",
        other: "normal"
      },
      requests: [],
      tokens: 0
    }
  })

const resolve = (existing: ReadonlyArray<SigningKey>, key: Algorithm | SigningKey): Effect.Effect<SigningKey> =>
  typeof key === "string" ? makeKey(unusedName(existing, key), key) : Effect.succeed(key)

const unusedName = (existing: ReadonlyArray<SigningKey>, algorithm: Algorithm, number = 1): string => {
  const kid = `${algorithm}-${number}`
  return existing.some((key) => key.kid === kid) ? unusedName(existing, algorithm, number + 1) : kid
}

export const find = (state: State, key: string | SigningKey | undefined): Effect.Effect<SigningKey> => {
  if (key === undefined) return Effect.succeed(state.current)
  if (typeof key !== "string") return Effect.succeed(key)
  const found = state.keys.find(({ kid }) => kid === key)
  return found === undefined
    ? mistake(`no key has the name ${JSON.stringify(key)}. Names of keys: ${list(state.keys.map(({ kid }) => kid))}.`)
    : Effect.succeed(found)
}

export const rotate = (ref: Ref.Ref<State>, given: Algorithm | SigningKey | undefined): Effect.Effect<SigningKey> =>
  Effect.gen(function* () {
    const { current, keys } = yield* Ref.get(ref)
    const algorithm = given ?? current.alg
    if (algorithm === "HS256" || algorithm === "HS384" || algorithm === "HS512") {
      return yield* mistake("rotate cannot generate an HMAC secret. Pass the key.")
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
      : mistake(
          `no published key has the name ${JSON.stringify(kid)}. Names of published keys: ${list(kids.filter((name) => name !== undefined))}.`
        )
  })

const kidOf = (jwk: unknown): string | undefined => {
  const kid = own(jwk, "kid")
  return typeof kid === "string" ? kid : undefined
}
