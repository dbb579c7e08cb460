/**
 * Takes the README's screenshot of the Items API's page.
 *
 * The picture shows an operation after a real request. Swagger UI prints the token in a curl command, so the command is
 * removed first. The request body and the documented responses are left out, because they need much room.
 */
import { Effect } from "effect"
import type { Locator } from "playwright-core"
import { Chromium } from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"
import { ItemsApi } from "./ItemsApi.ts"

/** Box of an element, relative to the top of the document. */
const boxOf = (element: Locator) =>
  element.evaluate((element) => {
    const { height, left, top, width } = element.getBoundingClientRect()
    return { x: left + window.scrollX, y: top + window.scrollY, width, height }
  })

/** Takes the picture, and writes it to a file. Returns the text in the picture. */
export const takeScreenshot = Effect.fnUntraced(function* (file: string) {
  const { api } = yield* ItemsApi
  const browser = yield* Chromium
  return yield* Effect.promise(async () => {
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
    await docs.page.screenshot({ path: file, animations: "disabled", fullPage: true, clip })
    const text = await operation.innerText()
    await docs.context.close()
    return text
  })
})
