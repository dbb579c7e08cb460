/**
 * Keeps a grant in a file, encrypted with a key that the keychain of the operating system has. A keychain alone would not
 * do: it has no lock and no versions, and that of Windows refuses secrets of more than 2560 bytes, which tokens exceed.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { refuseOption } from "../../core/refuseOption.ts"
import * as keyRing from "../../stores/keyRing.ts"
import { randomText } from "../../stores/seal.ts"
import { TokenStoreError } from "../ClientError.ts"
import { type Codec, sealed } from "./content.ts"
import * as file from "./file.ts"
import type { Store } from "./model.ts"

/**
 * An entry of the keychain of the operating system. `AsyncEntry` and `Entry` of the package `@napi-rs/keyring` have this
 * form.
 *
 * **Example** (Using the keychain of the operating system)
 *
 * ```ts
 * import { AsyncEntry } from "@napi-rs/keyring"
 * import type { KeychainEntry } from "effect-oauth2/client"
 *
 * export const entry: KeychainEntry = new AsyncEntry("items", "https://idp.example.com")
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface KeychainEntry {
  /** Returns the secret of the entry, or `null` or `undefined` if there is none. */
  readonly getPassword: () => Text | Promise<Text>
  /** Writes the secret of the entry. */
  readonly setPassword: (password: string) => void | Promise<void>
  /** Removes the entry, if there is one. */
  readonly deletePassword: () => unknown
}

type Text = string | null | undefined

/**
 * Options for `TokenStore.layerKeychain`.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeychainOptions extends file.FileOptions {
  /** Entry of the keychain for the key. Use no entry that has another content. */
  readonly entry: KeychainEntry
}

const name = "grant"

export const make = Effect.fnUntraced(function* (options: KeychainOptions) {
  const { entry } = options
  if (typeof entry?.getPassword !== "function") {
    return yield* refuseOption("entry", "must be an entry of a keychain, such as AsyncEntry of @napi-rs/keyring")
  }

  const call = <A>(run: () => A | Promise<A>) => Effect.tryPromise(async () => run())

  const codecOf = (key: string): Effect.Effect<Codec, Error> =>
    Effect.match(keyRing.make("entry", Redacted.make(key), "effect-oauth2 grant"), {
      onFailure: () => undefined,
      onSuccess: (ring) => sealed(ring, name)
    }).pipe(
      Effect.flatMap((codec) =>
        codec === undefined
          ? Effect.fail(new Error("The keychain entry has another content. Use an entry of its own."))
          : Effect.succeed(codec)
      )
    )

  const find = Effect.map(
    call(() => entry.getPassword()),
    Option.fromNullishOr
  )

  /** Runs with the lock, so that two processes do not create different keys. */
  const created = Effect.gen(function* () {
    const key = randomText()
    yield* call(() => entry.setPassword(key))
    return key
  })

  const store = yield* file.make(options, {
    // Without its key, the file is of no use, and a new sign-in replaces it.
    decode: (text) =>
      Effect.flatMap(
        find,
        Option.match({
          onNone: () => Effect.succeedNone,
          onSome: (key) => Effect.flatMap(codecOf(key), ({ decode }) => decode(text))
        })
      ),
    encode: (grant) =>
      Effect.gen(function* () {
        const found = yield* find
        const { encode } = yield* codecOf(Option.isSome(found) ? found.value : yield* created)
        return yield* encode(grant)
      })
  })

  const keychainStore: Store = {
    ...store,
    // A keychain that does not work is found out before the user signs in, also if there is no file.
    read: Effect.andThen(
      Effect.mapError(find, (cause) => new TokenStoreError({ operation: "read", cause })),
      store.read
    ),
    // The key goes with the grant, so that copies of the file, such as in a backup, stay closed.
    remove: (version) =>
      Effect.tap(store.remove(version), (isRemoved) =>
        isRemoved || version === undefined
          ? Effect.mapError(
              call(() => entry.deletePassword()),
              (cause) => new TokenStoreError({ operation: "remove", cause })
            )
          : Effect.void
      )
  }
  return keychainStore
})
