/** `SwaggerUi.layer` reads its files with the first request that needs them, and waits for nothing before. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, FileSystem, Layer, Logger, References } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { SwaggerUi } from "effect-oauth2"
import { RequestIsolation } from "../../src/core/RequestIsolation.ts"
import { Resolver } from "../../src/swaggerUi/assets.ts"
import { document, version } from "../support/documentationPages.ts"
import { settle } from "../support/settle.ts"
import { serve } from "../support/web.ts"

const health = HttpRouter.add("GET", "/health", HttpServerResponse.empty())

/** A file system whose reads of bytes run `before` first. */
const watched = (before: Effect.Effect<void>) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (disk) => ({
      ...disk,
      readFile: (path) => Effect.andThen(before, disk.readFile(path))
    }))
  ).pipe(Layer.provideMerge(NodeServices.layer))

const style = `/docs/swagger-ui-dist/${version}/swagger-ui.css`

describe("SwaggerUi.layer before its first request", () => {
  it("is built without waiting", () => {
    const neverReads = Layer.merge(
      NodeServices.layer,
      FileSystem.layerNoop({ readFile: () => Effect.never, readFileString: () => Effect.never })
    )
    const app = SwaggerUi.layer(document).pipe(Layer.provide(HttpRouter.layer))
    const exit = Effect.runSyncExit(
      Effect.flatMap(Effect.context<Layer.Success<typeof neverReads>>(), (context) =>
        Effect.scoped(Layer.build(Layer.provide(app, Layer.succeedContext(context))))
      ).pipe(Effect.provide(neverReads))
    )
    assert.isTrue(Exit.isSuccess(exit), String(exit))
  })

  it.effect("reads no file, also for requests of the document and of the redirect page", () =>
    Effect.gen(function* () {
      let reads = 0
      const page = SwaggerUi.layer(document).pipe(Layer.provide(watched(Effect.sync(() => void reads++))))
      const send = yield* serve(Layer.merge(page, health))
      for (const path of ["/openapi.json", "/docs/oauth2-redirect"]) {
        assert.strictEqual((yield* send(path)).status, 200)
      }
      assert.strictEqual((yield* send("/health")).status, 204)
      assert.strictEqual(reads, 0)
      assert.strictEqual((yield* send("/docs")).status, 200)
      assert.isAbove(reads, 0)
    })
  )

  it.effect("reads the files once for all requests", () =>
    Effect.gen(function* () {
      const reads: Array<number> = []
      const page = SwaggerUi.layer(document).pipe(Layer.provide(watched(Effect.sync(() => void reads.push(1)))))
      const send = yield* serve(page)
      const paths = ["/docs", style, "/docs", "/docs", style]
      const answers = yield* Effect.forEach(paths, (path) => send(path), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
      const first = reads.length
      yield* send("/docs")
      yield* send(style)
      assert.lengthOf(reads, first)
      // Three files and the licenses.
      assert.strictEqual(first, 4)
    })
  )

  it.effect("responds to the other requests if the first one is aborted while it waits", () =>
    Effect.gen(function* () {
      const mayRead = yield* Deferred.make<void>()
      const isReading = yield* Deferred.make<void>()
      const waits = Effect.andThen(Deferred.succeed(isReading, undefined), Deferred.await(mayRead))
      const page = SwaggerUi.layer(document).pipe(Layer.provide(watched(waits)))
      const send = yield* serve(page)
      const controller = new AbortController()
      const aborted = yield* Effect.forkChild(Effect.exit(send("/docs", undefined, { signal: controller.signal })))
      yield* Deferred.await(isReading)
      const other = yield* Effect.forkChild(send("/docs"))
      yield* settle
      controller.abort()
      yield* settle
      yield* Deferred.succeed(mayRead, undefined)
      assert.strictEqual((yield* Fiber.join(other)).status, 200)
      yield* Fiber.await(aborted)
    })
  )

  it.effect("does not let an isolated request wait for another request", () =>
    Effect.gen(function* () {
      let reads = 0
      const isReading = yield* Deferred.make<void>()
      const firstWaits = Effect.suspend(() =>
        reads++ === 0 ? Effect.andThen(Deferred.succeed(isReading, undefined), Effect.never) : Effect.void
      )
      const page = SwaggerUi.layer(document).pipe(
        Layer.provide(watched(firstWaits)),
        Layer.provide(Layer.succeed(RequestIsolation, {}))
      )
      const send = yield* serve(page)
      const first = yield* Effect.forkChild(send("/docs"))
      yield* Deferred.await(isReading)
      assert.strictEqual((yield* send("/docs")).status, 200)
      const afterwards = reads
      assert.strictEqual((yield* send("/docs")).status, 200)
      assert.strictEqual(reads, afterwards)
      yield* Fiber.interrupt(first)
    })
  )
})

describe("SwaggerUi.layer whose files cannot be read", () => {
  const unreadable = {
    "because Node does not find the package": Layer.succeed(Resolver, (specifier: string): string => {
      throw new Error(`Cannot find package '${specifier}'`)
    }),
    "because a resolver returns a wrong URL": Layer.succeed(Resolver, () => "file:///nowhere/package.json"),
    "because the platform reads no files": FileSystem.layerNoop({}),
    "because the file system throws": FileSystem.layerNoop({ readFileString: () => Effect.die(new Error("disk")) })
  }

  /** Collects the log entries that are not of level Debug. */
  const collect = () => {
    const entries: Array<string> = []
    const logger = Logger.make(({ logLevel, message }) => {
      entries.push(`${logLevel}: ${String([message].flat()[0])}`)
    })
    return { entries, layer: Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Info")) }
  }

  it.effect.each(Object.keys(unreadable) as ReadonlyArray<keyof typeof unreadable>)(
    "responds with 503 and constant text, logs the fix once, and serves all other routes %s",
    (reason) =>
      Effect.gen(function* () {
        const log = collect()
        const page = SwaggerUi.layer(document).pipe(
          Layer.provide(unreadable[reason] as Layer.Layer<never>),
          Layer.provide(NodeServices.layer),
          Layer.provide(log.layer)
        )
        const send = yield* serve(Layer.merge(page, health))
        for (const path of ["/docs", style, "/docs"]) {
          const { body, headers, status } = yield* send(path)
          assert.strictEqual(status, 503)
          assert.strictEqual(body, "The documentation page is not available. The server's log contains the reason.")
          assert.strictEqual(headers.get("cache-control"), "no-store")
        }
        assert.strictEqual((yield* send("/health")).status, 204)
        for (const path of ["/openapi.json", "/docs/oauth2-redirect"]) {
          assert.strictEqual((yield* send(path)).status, 200)
        }
        assert.lengthOf(log.entries, 1)
        assert.match(log.entries[0] ?? "", /^Error: SwaggerUi\.layer could not read swagger-ui-dist/)
        for (const fix of ["npm install swagger-ui-dist", "NodeServices.layer", "set the option assets"]) {
          assert.include(log.entries[0], fix)
        }
      })
  )

  it.effect.each([true, false])("reads them again with the next request, isolated or not: %s", (isIsolated) =>
    Effect.gen(function* () {
      let isInstalled = false
      const log = collect()
      // The read of a missing file fails later, in another turn of the event loop.
      const resolver = Layer.succeed(Resolver, (specifier: string) =>
        isInstalled ? import.meta.resolve(specifier) : "file:///nowhere/package.json"
      )
      const page = SwaggerUi.layer(document).pipe(
        Layer.provide(resolver),
        Layer.provide(isIsolated ? Layer.succeed(RequestIsolation, {}) : Layer.empty),
        Layer.provide(NodeServices.layer),
        Layer.provide(log.layer)
      )
      const send = yield* serve(page)
      assert.strictEqual((yield* send("/docs")).status, 503)
      assert.strictEqual((yield* send("/docs")).status, 503)
      isInstalled = true
      assert.strictEqual((yield* send("/docs")).status, 200)
      assert.strictEqual((yield* send(style)).status, 200)
      assert.deepStrictEqual(
        log.entries.map((entry) => entry.split(":")[0]),
        ["Error", "Info"]
      )
    })
  )
})
