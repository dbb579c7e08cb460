/** Measures costs that must not grow with routes, scopes, keys, connections, tokens or time, and the start-up time. */
import type { Settings } from "../options.ts"
import { memory } from "./growth/memory.ts"
import { relations } from "./growth/relations.ts"
import { soak } from "./growth/soak.ts"
import { startUp } from "./growth/startUp.ts"

export const growth = async (settings: Settings): Promise<void> => {
  await relations(settings)
  if (settings.parts.includes("memory")) await memory(settings)
  if (settings.parts.includes("soak")) await soak(settings)
  if (settings.parts.includes("start-up")) startUp()
}
