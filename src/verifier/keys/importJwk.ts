/**
 * Imports a JWK with jose. `keys.ts` loads this module on first use. The static import in it lets bundlers remove what
 * else is in jose's module: bundlers keep all of a module that is imported dynamically.
 */
export { importJWK } from "jose/key/import"
