/** Expectations of `src/core/effect/rpc.ts` about internals of `effect/rpc`. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { Rpc, RpcGroup, RpcMiddleware, RpcSchema, RpcTest } from "effect/rpc"
import { type Call, handlersIn, isCall, isGroup, isStream, middlewareKey } from "../../../src/core/effect/rpc.ts"

describe("isStream", () => {
  it("recognizes the procedures that return a stream", () => {
    for (const rpc of [Rpc.make("A"), Rpc.make("B", { stream: true }), Rpc.make("C", { success: Schema.String })]) {
      assert.strictEqual(isStream(rpc), RpcSchema.isStreamSchema(rpc.successSchema), rpc._tag)
    }
    assert.isTrue(isStream(Rpc.make("B", { stream: true })))
  })
})

describe("isGroup", () => {
  it("recognizes groups, and nothing else", () => {
    const group = RpcGroup.make(Rpc.make("A"))
    assert.isTrue(isGroup(group))
    assert.isTrue(isGroup(group.add(Rpc.make("B")).omit("A")))
    for (const other of [Rpc.make("A"), {}, () => {}, undefined, { ...group }]) assert.isFalse(isGroup(other))
  })
})

describe("handlersIn", () => {
  it.effect("finds the handlers that toLayer and toLayerHandler provide, by the names of their procedures", () =>
    Effect.gen(function* () {
      const group = RpcGroup.make(Rpc.make("A"), Rpc.make("b/c"))
      const handler = () => Effect.void
      const whole = yield* Layer.build(group.toLayer({ A: handler, "b/c": handler }))
      assert.deepStrictEqual(
        Array.from(handlersIn(whole), ([name, entry]) => [name, entry.handler]),
        [
          ["A", handler],
          ["b/c", handler]
        ]
      )
      const single = RpcGroup.make(Rpc.make("A", { success: Schema.String }))
      const one = yield* Layer.build(single.toLayerHandler("A", () => Effect.succeed("")))
      assert.deepStrictEqual(Array.from(handlersIn(one).keys()), ["A"])
      assert.strictEqual(handlersIn(Context.makeUnsafe(new Map([["effect/rpc", handler]]))).size, 0)
    })
  )
})

describe("middlewareKey", () => {
  it.effect("makes a key that effect/rpc accepts, and all middleware of a call gets the same options", () =>
    Effect.gen(function* () {
      const calls: Array<Call> = []
      const keyOf = (name: string) => middlewareKey(Context.Service(name), () => Schema.Never)
      const [inner, outer] = [keyOf("test/inner"), keyOf("test/outer")]
      class Real extends RpcMiddleware.Service<Real>()("test/real") {}
      assert.deepStrictEqual(
        ["error", "requiredForClient"].map((name) => name in Real && name in inner),
        [true, true]
      )
      assert.strictEqual(inner[RpcMiddleware.TypeId], Real[RpcMiddleware.TypeId])
      const Group = RpcGroup.make(Rpc.make("A").middleware(inner).middleware(outer))
      const apply = (effect: Effect.Effect<never>, call: Call) => {
        calls.push(call)
        return effect
      }
      const layers = Layer.mergeAll(
        Group.toLayer({ A: () => Effect.void }),
        Layer.succeedContext(
          Context.makeUnsafe<never>(
            new Map([
              [inner.key, apply],
              [outer.key, apply]
            ])
          )
        )
      ) as unknown as Layer.Layer<never>
      const client = yield* Effect.provide(
        RpcTest.makeClient(Group) as Effect.Effect<{ readonly A: unknown }, never, Scope.Scope>,
        layers
      )
      // The keys have no types, so the types of the client say nothing.
      const call = client.A as () => Effect.Effect<void>
      yield* call()
      yield* call()
      assert.deepStrictEqual(
        calls.map((call) => isCall(call)),
        [true, true, true, true]
      )
      assert.deepStrictEqual(
        calls.map((call) => calls.indexOf(call)),
        [0, 0, 2, 2]
      )
    })
  )
})
