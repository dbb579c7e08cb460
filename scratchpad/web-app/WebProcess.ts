/** Serves the app in one process, on a free port. */
import { NodeHttpServer } from "@effect/platform-node"
import { Layer } from "effect"
import { FetchHttpClient, HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { host } from "../support/Addresses.ts"
import * as Processes from "../support/Processes.ts"
import { App, Stores } from "./App.ts"

export const WebProcess = Processes.ready.pipe(
  Layer.provide(HttpRouter.serve(App, { disableLogger: true, disableListenLog: true })),
  Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host })),
  Layer.provide(Stores),
  Layer.provide(FetchHttpClient.layer)
)
