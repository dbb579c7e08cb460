/** Fails if the package costs its users more than its budgets: `npm run check:budgets`, after `npm run build`. */
import { withPrograms } from "../../bench/types/programs.ts"
import { loadBudgets, typeBudget } from "./budgets.ts"
import { importProblems, raise, typeProblems } from "./compare.ts"
import { measureImports } from "./imports.ts"

try {
  const problems = [...importProblems(await measureImports(), loadBudgets)]
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
