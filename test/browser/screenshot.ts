/** Writes the README's screenshot of the Items API's page, `docs/swagger-ui.png`. Run it with `npm run screenshot`. */
import { Effect, Layer } from "effect"
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { Chromium } from "./Chromium.ts"
import { DocsPage } from "./DocsPage.ts"
import { ItemsApi } from "./ItemsApi.ts"

const file = fileURLToPath(new URL("../../docs/swagger-ui.png", import.meta.url))

const take = Effect.gen(function* () {
  const { api } = yield* ItemsApi
  const browser = yield* Chromium
  yield* Effect.promise(async () => {
    const docs = await DocsPage.open(browser, `${api}/docs`)
    await docs.logIn("demo")
    await docs.dialog.open()
    mkdirSync(dirname(file), { recursive: true })
    await docs.page.screenshot({ path: file, animations: "disabled" })
    await docs.context.close()
  })
})

await Effect.runPromise(Effect.provide(take, Layer.merge(Chromium.layer, ItemsApi.layerOn(3000, 3001))))
