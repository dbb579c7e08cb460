/** Statistics of samples. */

export const median = (numbers: ReadonlyArray<number>): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Returns the number below which a part of the numbers is, such as 0.25 for the lower quartile. */
export const quantile = (numbers: ReadonlyArray<number>, part: number): number => {
  const sorted = numbers.toSorted((a, b) => a - b)
  const at = (sorted.length - 1) * part
  const below = Math.floor(at)
  const above = Math.min(below + 1, sorted.length - 1)
  return sorted[below]! + (sorted[above]! - sorted[below]!) * (at - below)
}

const mean = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, n) => sum + n, 0) / numbers.length

/** Returns the slope of the least-squares line through the points. */
export const slope = (points: ReadonlyArray<readonly [x: number, y: number]>): number => {
  const x = mean(points.map(([x]) => x))
  const y = mean(points.map(([, y]) => y))
  const rise = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0)
  return rise / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
}
