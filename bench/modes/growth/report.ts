/** Prints a figure, and fails the bench at its end where the figure is not under its limit. */
export const report = (kind: string, name: string, value: number, limit = Infinity): void => {
  const over = !(value < limit)
  console.log(kind, name, value.toFixed(3), ...(over ? [`is not under ${limit}`] : []))
  if (over) process.exitCode = 1
}
