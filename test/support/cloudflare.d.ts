/** What the Workers of the tests and of the documentation import from their runtime. */
declare module "cloudflare:workers" {
  export const waitUntil: (promise: Promise<unknown>) => void
}

declare module "swagger-ui-data/*" {
  const bytes: Uint8Array
  export default bytes
}
