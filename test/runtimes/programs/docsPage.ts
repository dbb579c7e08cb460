/** Serves the documentation page with the files of the installed `swagger-ui-dist`. Prints the status of the page. */
import { NodeServices } from "@effect/platform-node"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { SwaggerUi } from "effect-oauth2"
import { Api } from "./handler.ts"

const { handler } = HttpRouter.toWebHandler(SwaggerUi.layer(Api).pipe(Layer.provide(NodeServices.layer)), {
  disableLogger: true
})
const status = await handler(new Request("http://localhost/docs")).then(
  (response) => response.status,
  (error: unknown) => String(error)
)
console.log(status)
process.exit(0)
