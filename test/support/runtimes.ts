/** Says in one line which programs the tests leave out. Runs once, before all tests. */
import * as clients from "../../clients/mcp.ts"
import * as documents from "../../documents/tools.ts"
import * as runtimes from "../../runtimes/install.ts"
import * as keychain from "./keychain.ts"
import * as redisServer from "./redisServer.ts"

export const leftOut = (names: ReadonlyArray<string>, folder: string): string =>
  `The tests leave out ${names.join(", ")}. To run them, install these programs with: npm ci --prefix ${folder}\n`

export default (): void => {
  if (process.platform === "win32") process.stderr.write("The tests leave out signals, which Windows does not have.\n")
  if (redisServer.missing) process.stderr.write(`${redisServer.decision.message}\n`)
  if (keychain.isSkipped && process.platform === "linux") process.stderr.write(`${keychain.message}\n`)
  for (const [folder, { missing }] of Object.entries({ clients, documents, runtimes })) {
    const names = missing()
    if (names.length > 0) process.stderr.write(leftOut(names, folder))
  }
}
