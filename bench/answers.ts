/** The child's side of `harness/Child.ts`: reports that the child is ready, then answers each message. */
export type Answer = { readonly value: unknown } | { readonly error: string }

export const answerMessages = (ready: unknown, handle: (message: never) => unknown): void => {
  const send = (answer: Answer) => process.send?.(answer)
  process.on("message", async (message) => {
    try {
      send({ value: await handle(message as never) })
    } catch (error) {
      send({ error: error instanceof Error ? error.message : String(error) })
    }
  })
  // Without this handler, the child would survive the bench.
  process.on("disconnect", () => process.exit())
  send({ value: ready })
}
