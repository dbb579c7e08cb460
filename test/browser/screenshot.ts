/**
 * Writes the README's screenshot of the Items API's page, `docs/swagger-ui.png`. Run it with `npm run screenshot`.
 *
 * The picture shows an operation after a real request. Swagger UI prints the token in a curl command, so the script
 * removes the command first. The request body and the documented responses are left out, because they need much room.
 */
import { Effect, Layer } from "effect"
import type { Locator } from "playwright-core"
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { Chromium } from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"
import { ItemsApi } from "./ItemsApi.ts"

const file = fileURLToPath(new URL("../../docs/swagger-ui.png", import.meta.url))

/** Box of an element, relative to the top of the document. */
const boxOf = (element: Locator) =>
  element.evaluate((element) => {
    const { height, left, top, width } = element.getBoundingClientRect()
    return { x: left + window.scrollX, y: top + window.scrollY, width, height }
  })

const take = Effect.gen(function* () {
  const { api } = yield* ItemsApi
  const browser = yield* Chromium
  yield* Effect.promise(async () => {
    const docs = await DocsPage.open(browser, `${api}/docs`)
    await docs.logIn("demo")
    await docs.createItem.open()
    const { status } = await docs.createItem.execute({ name: "Kettle" })
    if (status !== 201) throw new Error(`The API responded with ${status} instead of 201.`)
    const operation = docs.page.locator('[id$="-create"].opblock')
    await operation
      .locator(".curl-command, .opblock-section")
      .evaluateAll((elements) => elements.forEach((element) => element.remove()))
    const { height, width, x, y } = await boxOf(operation)
    const response = await boxOf(operation.locator(".live-responses-table"))
    const clip = { x, y, width, height: Math.min(height, response.y + response.height - y) }
    mkdirSync(dirname(file), { recursive: true })
    await docs.page.screenshot({ path: file, animations: "disabled", fullPage: true, clip })
    await docs.context.close()
  })
})

await Effect.runPromise(Effect.provide(take, Layer.merge(Chromium.layer, ItemsApi.layerOn(3000, 3001))))
