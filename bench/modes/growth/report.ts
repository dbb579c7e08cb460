/** Prints a figure. If the figure is not below its limit, the bench exits with 1 at its end. */
export const report = (kind: string, name: string, value: number, limit = Infinity): void => {
  const over = !(value < limit)
  console.log(kind, name, value.toFixed(3), ...(over ? [`is not below ${limit}`] : []))
  if (over) process.exitCode = 1
}
