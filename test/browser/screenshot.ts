/** Writes the README's screenshot, `docs/swagger-ui.png`: `npm run screenshot`. */
import { Effect, Layer } from "effect"
import { fileURLToPath } from "node:url"
import { Chromium } from "./Chromium.ts"
import { ItemsApi } from "./ItemsApi.ts"
import { takeScreenshot } from "./takeScreenshot.ts"

const file = fileURLToPath(new URL("../../docs/swagger-ui.png", import.meta.url))

await Effect.runPromise(Effect.provide(takeScreenshot(file), Layer.merge(Chromium.layer, ItemsApi.layerOn(3000, 3001))))
