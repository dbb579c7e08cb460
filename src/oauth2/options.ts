/** What every constructor of schemes takes. */
import type * as Schema from "effect/Schema"
import type * as Challenge from "../core/Challenge.ts"
import type { UnknownClaims } from "./oauth2Scheme.ts"

/**
 * What every constructor takes besides its flow.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<
  Scopes extends Readonly<Record<string, string>>,
  Implies,
  Claims extends object = UnknownClaims
> {
  /** Scope names with a description for people. Write them as a literal: of a `Record<string, string>` the compiler knows none, and checks none. */
  readonly scopes: Scopes
  /** Which scopes imply which others: a token with `items:write` then satisfies `items:read`. Default: none. */
  readonly implies?: Implies
  /** What documents say of the scheme (CommonMark). Default: nothing. */
  readonly description?: string
  /**
   * What the claims of a token must be: a schema of an object. A token whose claims do not decode is refused; of one whose claims do, `claims` has the
   * decoded value, typed where the scheme gives the token (`accessToken`, `granted`, `authorize`) and to its `check`.
   * The claims of a cached token are decoded once. If they decode to a value that can change, such as a `Date` or an instance of a class, they are decoded for
   * each request. Default: any claims, as they are.
   */
  readonly claims?: Schema.Decoder<Claims>
  /** The form of the answers (see `Challenge`). Default: `"fastapi"`. */
  readonly responses?: Challenge.Responses
  /** The protection space that a challenge names (RFC 9110 §11.5): printable ASCII. Default: the scheme's name. */
  readonly realm?: string
  /**
   * The user's own responses, by the error's tag. Documents say their status and media type; the typed client of an `HttpApi` knows the standard ones, and sees
   * of others the status.
   */
  readonly renderers?: Challenge.Renderers
  /** Where the authorization server's metadata is (RFC 8414), for documents: `oauth2MetadataUrl` in OpenAPI 3.2, `x-oauth2MetadataUrl` in 3.1. */
  readonly oauth2MetadataUrl?: string
  /** Whether documents mark the scheme as deprecated (OpenAPI 3.2). Default: `false`. */
  readonly deprecated?: boolean
}

/**
 * Makes `implies` and `claims` required where the type arguments name them: a scheme's type says nothing that its options do not.
 *
 * @category utility types
 * @since 0.1.0
 */
export type RequiredOptions<Implies, Claims> = ({} extends Implies ? unknown : { readonly implies: unknown }) &
  ([UnknownClaims] extends [Claims] ? unknown : { readonly claims: unknown })
