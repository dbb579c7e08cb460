/** `node:http` and jose: what verification costs with next to nothing around it. */
import { verify } from "./jose.ts"
import { serveNode } from "./node.ts"

serveNode(verify)
