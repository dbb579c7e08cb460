/**
 * Loads a module that the library imports on first use. Otherwise, `settle` ends before the import has read the disk.
 */
export * from "jose/key/import"
