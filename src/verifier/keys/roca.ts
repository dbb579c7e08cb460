/**
 * The fingerprint of ROCA (CVE-2017-15361): RSA moduli whose primes an Infineon library made, and which can be factored.
 *
 * Such a modulus is a power of 65537 modulo each small prime, with one exponent for all of them (M. Nemec, M. Sys, P. Svenda, D. Klinec,
 * V. Matyas: "The Return of Coppersmith's Attack", CCS 2017, §2.2 and §3). A random modulus is a power modulo each of these primes about once in
 * 2^27, and almost never with one exponent.
 */

/** The odd primes up to 167: the paper's choice for its fingerprint. */
export const smallPrimes: ReadonlyArray<number> = Array.from({ length: 83 }, (_, i) => 2 * i + 3).filter(
  (n) => ![3, 5, 7, 11].some((p) => p < n && n % p === 0)
)

/** The logarithms to the base 65537 modulo a prime; their number is the order of 65537. */
const logarithms = smallPrimes.map((prime) => {
  const logs = new Map<number, number>()
  for (let power = 1; !logs.has(power); power = (power * (65537 % prime)) % prime) logs.set(power, logs.size)
  return { prime: BigInt(prime), logs }
})

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b))

/** Whether a modulus carries the fingerprint. */
export const hasRocaFingerprint = (modulus: bigint): boolean => {
  const exponents: Array<{ readonly log: number; readonly order: number }> = []
  for (const { logs, prime } of logarithms) {
    const log = logs.get(Number(modulus % prime))
    if (log === undefined) return false
    exponents.push({ log, order: logs.size })
  }
  // One exponent fits all where each two agree modulo what their orders share (Chinese remainder theorem).
  return exponents.every((a, i) => exponents.slice(i + 1).every((b) => (a.log - b.log) % gcd(a.order, b.order) === 0))
}
