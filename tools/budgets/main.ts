/** Fails if the package costs its users more than its budgets: `npm run check:budgets`, after `npm run build`. */
import { withPrograms } from "../../bench/types/programs.ts"
import { loadBudgets, sizeBudgets, typeBudget } from "./budgets.ts"
import { importProblems, raise, sizeProblems, typeProblems } from "./compare.ts"
import { measureImports } from "./imports.ts"
import { describeSize, measureSizes } from "../sizes/measure.ts"

try {
  const problems = [...importProblems(await measureImports(), loadBudgets)]
  const sizes = await measureSizes()
  problems.push(...sizeProblems(sizes, sizeBudgets))
  for (const size of sizes) console.log(describeSize(size))
  withPrograms((measure) => {
    const requirements = measure("typescript", "requirements")
    const middleware = measure("typescript", "middleware")
    const added = {
      Instantiations: requirements.Instantiations - middleware.Instantiations,
      Types: requirements.Types - middleware.Types
    }
    problems.push(...typeProblems(added, typeBudget))
  })
  if (problems.length > 0) throw new Error([...problems, raise].join("\n"))
} catch (error) {
  process.exitCode = 1
  console.error(error instanceof Error ? error.message : error)
}
