/** Tells the results of `MutualTls.make` from other objects, without its code in programs that do not use it. */
import type { CertificateChecker } from "./checker.ts"

const checkers = new WeakMap<object, CertificateChecker>()

export const register = <A extends object>(value: A, checker: CertificateChecker): A => {
  checkers.set(value, checker)
  return value
}

export const checkerOf = (value: unknown): CertificateChecker | undefined =>
  typeof value === "object" && value !== null ? checkers.get(value) : undefined
