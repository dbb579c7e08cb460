/** Run `npm run example -- step-up`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console } from "effect"
import { program } from "./Program.ts"

NodeRuntime.runMain(program(Console.log))
