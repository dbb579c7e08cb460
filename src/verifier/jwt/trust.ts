/** Builds the trust in one issuer from its options and its keys. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ownProperties } from "../../core/lib/ownProperties.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import type { ConfigurationError } from "../../core/SecurityError.ts"
import type { Rejection } from "../cache/verified.ts"
import type { Policy } from "../claims/options.ts"
import * as policies from "../claims/policy.ts"
import { type Algorithm, asymmetric, namesOf } from "../keys/algorithms.ts"
import type { KeySelector } from "../keys/options.ts"
import type { Trust } from "./verify.ts"

/** The members of a `KeySet` that verifications use. */
export interface Keys {
  readonly find: (
    header: KeySelector,
    mismatched?: ReadonlyArray<CryptoKey>
  ) => Effect.Effect<ReadonlyArray<CryptoKey>, Rejection>
  readonly findFetched: (header: KeySelector, clock: Clock.Clock, now: number) => ReadonlyArray<CryptoKey>
}

const allAlgorithms: ReadonlyArray<string> = Object.keys(asymmetric)

export const make = Effect.fnUntraced(function* (
  options: Policy & { readonly algorithms?: ReadonlyArray<Algorithm> },
  keySet: Keys
): Effect.fn.Return<Trust, ConfigurationError> {
  const { algorithms = allAlgorithms } = ownProperties(options)
  if (
    !Array.isArray(algorithms) ||
    algorithms.length === 0 ||
    !algorithms.every((algorithm) => allAlgorithms.includes(algorithm))
  ) {
    return yield* refuseOption("algorithms", `must be some of ${allAlgorithms.join(", ")}`)
  }
  return {
    policy: yield* policies.make(new Set(algorithms.flatMap(namesOf)), options),
    keysOf: (header, mismatched = []) =>
      keySet.find(
        header,
        mismatched.filter((key): key is CryptoKey => !(key instanceof Uint8Array))
      ),
    availableKeys: keySet.findFetched
  }
})
