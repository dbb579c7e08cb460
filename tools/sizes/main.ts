/** States the size of bundles with this library: `npm run sizes`, after `npm run build`. */
import { describeSize, measureSizes } from "./measure.ts"

for (const size of await measureSizes()) console.log(describeSize(size))
