/** `node:http` with jose: the cost of verification alone. */
import { verify } from "./jose.ts"
import { serveNode } from "./node.ts"

serveNode(verify)
