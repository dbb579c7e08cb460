/** Run `npm run example -- rpc`. */
import { NodeRuntime } from "@effect/platform-node"
import { Console } from "effect"
import { program } from "./Program.ts"

NodeRuntime.runMain(program(Console.log))
