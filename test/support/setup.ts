/**
 * Loads a module that the library imports on first use. Otherwise, `settle` ends before the import has read the disk.
 */
export * from "../../src/verifier/keys/importJwk.ts"
