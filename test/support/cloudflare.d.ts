/** What the Workers of the tests and of the documentation import from their runtime. */
declare module "cloudflare:workers" {
  export const waitUntil: (promise: Promise<unknown>) => void
}
