/** The child's side of `harness/Child.ts`: says that it is ready, then answers one message after the other. */
export type Answer = { readonly value: unknown } | { readonly error: string }

export const answers = (ready: unknown, handle: (message: never) => unknown): void => {
  const send = (answer: Answer) => process.send?.(answer)
  process.on("message", async (message) => {
    try {
      send({ value: await handle(message as never) })
    } catch (error) {
      send({ error: error instanceof Error ? error.message : String(error) })
    }
  })
  // The bench is gone: nobody else stops this process.
  process.on("disconnect", () => process.exit())
  send({ value: ready })
}
