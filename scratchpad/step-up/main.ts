/** Run `node --conditions=@effect-oauth2/source scratchpad/step-up/main.ts`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console } from "effect"
import { program } from "./Program.ts"

NodeRuntime.runMain(program(Console.log))
