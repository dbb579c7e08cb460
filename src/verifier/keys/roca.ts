/**
 * Detects ROCA keys (CVE-2017-15361): RSA moduli from a faulty Infineon library, which attackers can factor.
 *
 * Modulo each small prime, a ROCA modulus is a power of 65537, and the exponent is the same for all primes (M. Nemec,
 * M. Sys, P. Svenda, D. Klinec, V. Matyas: "The Return of Coppersmith's Attack", CCS 2017, §2.2 and §3). About one
 * random modulus in 2^27 is a power modulo each of these primes, and almost none has one common exponent.
 */

/** Odd primes up to 167, as in the paper. */
export const smallPrimes: ReadonlyArray<number> = Array.from({ length: 83 }, (_, i) => 2 * i + 3).filter(
  (n) => ![3, 5, 7, 11].some((p) => p < n && n % p === 0)
)

/** Discrete logarithms to the base 65537 modulo each prime. `logs.size` is the order of 65537. */
const logarithms = smallPrimes.map((prime) => {
  const logs = new Map<number, number>()
  for (let power = 1; !logs.has(power); power = (power * (65537 % prime)) % prime) logs.set(power, logs.size)
  return { prime: BigInt(prime), logs }
})

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** Returns `true` if a modulus has the ROCA fingerprint. */
export const hasRocaFingerprint = (modulus: bigint): boolean => {
  const exponents: Array<{ readonly log: number; readonly order: number }> = []
  for (const { logs, prime } of logarithms) {
    const log = logs.get(Number(modulus % prime))
    if (log === undefined) return false
    exponents.push({ log, order: logs.size })
  }
  // A common exponent exists if each pair agrees modulo the gcd of its orders (Chinese remainder theorem).
  return exponents.every((a, i) => exponents.slice(i + 1).every((b) => (a.log - b.log) % gcd(a.order, b.order) === 0))
}
