/** One process of the web app. `main.ts` starts two of them. */
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { WebProcess } from "./WebProcess.ts"

WebProcess.pipe(Layer.launch, NodeRuntime.runMain)
