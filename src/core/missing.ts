/** Defines `Missing`, which makes the compiler say what a program lacks. */
import type * as Effect from "effect/Effect"
import { HttpClient } from "effect/http/HttpClient"

/**
 * States in the compiler's message what a program lacks: `Type 'Missing<"…"> & …' is not assignable to type 'never'`.
 *
 * **Details**
 *
 * The type stands beside the service that is needed. Providing the service removes both.
 *
 * @category utility types
 * @since 0.1.0
 */
// An interface, and not the text itself: a service whose identifier is `string` would provide a text.
export interface Missing<out What extends string> {
  readonly "~effect-oauth2/Missing": What
}

// The compiler shows the result of a conditional type, and the name of an alias. Therefore this type is conditional.
// Needs<HttpClient, "an HTTP client: …"> -> Missing<"an HTTP client: …"> & HttpClient
export type Needs<Service, What extends string> = Service extends unknown ? Missing<What> & Service : never

export type NeedsHttpClient<Client = HttpClient> = Needs<Client, "an HTTP client: Layer.provide(FetchHttpClient.layer)">

/** The HTTP client. If the program provides none, the compiler says which layer is missing. */
// Safe cast: `Missing` exists only in types.
export const httpClient = HttpClient as unknown as Effect.Effect<HttpClient, never, NeedsHttpClient>
