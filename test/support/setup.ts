/** What the library loads only when it is first needed: tests that let every fiber run would have to wait for a disk. */
export * from "jose/key/import"
