/** Says in one line which runtimes the tests leave out. Runs once, before all tests. */
import { missing } from "../../runtimes/install.ts"

export const leftOut = (names: ReadonlyArray<string>): string =>
  `The tests leave out ${names.join(", ")}. To run them, install these programs with: npm ci --prefix runtimes\n`

export default (): void => {
  const names = missing()
  if (names.length > 0) process.stderr.write(leftOut(names))
}
