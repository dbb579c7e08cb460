/** Keeps a grant in a file that only its owner can read. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import { toMillis } from "../../core/duration.ts"
import { refuseOption } from "../../core/refuseOption.ts"
import { TokenStoreError } from "../ClientError.ts"
import { type Codec, plain } from "./content.ts"
import type { Store } from "./model.ts"

/**
 * Options for `TokenStore.layerFile`.
 *
 * @category models
 * @since 0.1.0
 */
export interface FileOptions {
  /** Path of the file. Its directory is created if it is missing, for the owner only. */
  readonly path: string
  /**
   * Time after which the lock of another process is removed, because that process has crashed. It must be longer than a
   * refresh may take. Default: 1 minute.
   */
  readonly lease?: Duration.Input
  /** Time limit for waiting for the lock. Default: 90 seconds. */
  readonly lockTimeout?: Duration.Input
}

const Lock = Schema.fromJsonString(Schema.Struct({ owner: Schema.String, until: Schema.Number }))

const pollInterval = Duration.millis(50)

export const make = Effect.fnUntraced(function* (
  { lease: givenLease, lockTimeout: givenTimeout, path }: FileOptions,
  { decode, encode }: Codec = plain
) {
  const fs = yield* FileSystem.FileSystem
  const { dirname } = yield* Path.Path
  if (typeof path !== "string" || path === "") return yield* refuseOption("path", "must be the path of a file")
  const lease = toMillis(givenLease ?? "1 minute")
  if (!(lease >= 1000 && Number.isFinite(lease))) {
    return yield* refuseOption("lease", 'must be a finite duration of at least 1 second, such as "1 minute"')
  }
  const lockTimeout = toMillis(givenTimeout ?? "90 seconds")
  if (!(lockTimeout > 0 && Number.isFinite(lockTimeout))) {
    return yield* refuseOption("lockTimeout", 'must be a finite duration, such as "90 seconds"')
  }
  const semaphore = yield* Semaphore.make(1)
  const lockPath = `${path}.lock`
  const directory = fs.makeDirectory(dirname(path), { recursive: true, mode: 0o700 })

  // The cause of a file system may name the path. It names no content.
  const failed = (operation: TokenStoreError["operation"]) => (cause: unknown) =>
    new TokenStoreError({ operation, cause })

  const readIfPresent = (file: string) =>
    Effect.map(fs.readFileString(file), Option.some).pipe(
      Effect.catchIf(isNotFound, () => Effect.succeed(Option.none<string>()))
    )

  const find = Effect.gen(function* () {
    const text = yield* readIfPresent(path)
    return Option.isNone(text) ? Option.none() : yield* decode(text.value)
  })
  const findVersion = Effect.map(find, (found) => Option.getOrUndefined(found)?.version)

  /** Creates a file with its whole content, for the owner only. Fails if the file exists. */
  const create = (file: string, text: string) =>
    Effect.scoped(
      Effect.gen(function* () {
        const opened = yield* fs.open(file, { flag: "wx", mode: 0o600 })
        yield* opened.writeAll(new TextEncoder().encode(text))
        // Without it, a crash of the machine could leave an empty file.
        yield* opened.sync
      })
    )

  const write: Store["write"] = (grant, expected) =>
    Effect.gen(function* () {
      if ((yield* findVersion) !== expected) return Option.none()
      yield* directory
      const version = crypto.randomUUID()
      const temporary = `${path}.${crypto.randomUUID()}.tmp`
      yield* create(temporary, yield* encode({ grant, version })).pipe(
        Effect.andThen(fs.rename(temporary, path)),
        Effect.onError(() => Effect.ignore(fs.remove(temporary)))
      )
      return Option.some(version)
    }).pipe(Effect.mapError(failed("write")))

  const remove: Store["remove"] = (version) =>
    Effect.gen(function* () {
      // A file that cannot be read can be removed.
      if (version !== undefined && (yield* findVersion) !== version) return false
      return yield* Effect.as(fs.remove(path), true).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(false)))
    }).pipe(Effect.mapError(failed("remove")))

  /** Creates a lock, and returns `false` if another process has it. A link appears with its whole content, or not. */
  const tryLock = (file: string, owner: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const temporary = `${path}.${crypto.randomUUID()}.tmp`
      return create(temporary, Schema.encodeSync(Lock)({ owner, until: now + lease })).pipe(
        Effect.andThen(fs.link(temporary, file)),
        Effect.as(true),
        Effect.catchIf(isAlreadyThere, () => Effect.succeed(false)),
        Effect.ensuring(Effect.ignore(fs.remove(temporary, { force: true })))
      )
    })

  /** Returns `true` if a lock has ended. */
  const hasEnded = Effect.fnUntraced(function* (file: string) {
    const text = yield* readIfPresent(file)
    const lock = Option.flatMap(text, Schema.decodeUnknownOption(Lock))
    return Option.isSome(lock) && lock.value.until <= (yield* Clock.currentTimeMillis)
  })

  // Two processes may find the same ended lock. Only the owner of a second lock removes it, after another look, so no
  // process removes a new lock of the other.
  const removeEnded = Effect.fnUntraced(function* (owner: string) {
    const second = `${lockPath}.ended`
    if (!(yield* hasEnded(lockPath))) return
    if (yield* tryLock(second, owner)) {
      yield* Effect.flatMap(hasEnded(lockPath), (ended) => (ended ? fs.remove(lockPath) : Effect.void)).pipe(
        Effect.ensuring(Effect.ignore(fs.remove(second)))
      )
    } else if (yield* hasEnded(second)) {
      yield* fs.remove(second, { force: true })
    }
  })

  const lock = (owner: string): Effect.Effect<void, PlatformError> =>
    Effect.gen(function* () {
      yield* directory
      while (!(yield* tryLock(lockPath, owner))) {
        yield* removeEnded(owner)
        yield* Effect.sleep(pollInterval)
      }
    })

  /** Removes the lock, unless it has ended and another process has it. */
  const unlock = Effect.fnUntraced(function* (owner: string) {
    const text = yield* readIfPresent(lockPath)
    const found = Option.flatMap(text, Schema.decodeUnknownOption(Lock))
    if (Option.isSome(found) && found.value.owner === owner) yield* fs.remove(lockPath)
  })

  const store: Store = {
    read: Effect.mapError(find, failed("read")),
    write,
    remove,
    withLock: (self) =>
      semaphore.withPermits(1)(
        Effect.suspend(() => {
          const owner = crypto.randomUUID()
          return Effect.uninterruptibleMask((restore) =>
            restore(
              Effect.timeoutOrElse(lock(owner), {
                duration: lockTimeout,
                orElse: () => Effect.fail(new Error("Another process has the lock."))
              })
            ).pipe(
              // An interrupt may come between the creation of the lock and the next step.
              Effect.onError(() => Effect.ignore(unlock(owner))),
              Effect.mapError(failed("lock")),
              Effect.andThen(Effect.ensuring(restore(self), Effect.ignore(unlock(owner))))
            )
          )
        })
      )
  }
  return store
})

const isNotFound = (error: PlatformError): boolean => error.reason._tag === "NotFound"
const isAlreadyThere = (error: PlatformError): boolean => error.reason._tag === "AlreadyExists"
