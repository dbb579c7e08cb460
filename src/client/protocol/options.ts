/** The options that say which authorization server a client uses, and who the client is. */
import type * as Duration from "effect/Duration"
import type { ClientAuthentication } from "../ClientAuthentication.ts"

/**
 * The authorization server of a client, and the client's registration there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Registration {
  /** Issuer identifier: an https URL (http on loopback), exactly as the metadata names it. */
  readonly issuer: string
  /** Token endpoint. Default: `token_endpoint` of the issuer's metadata, which is read once it is needed. */
  readonly tokenUrl?: string
  /**
   * Metadata of the authorization server, such as `ResourceDiscovery.discover` returns it. Its `issuer` must be the
   * option `issuer`. Default: the metadata of the issuer, which is read once it is needed.
   */
  readonly metadata?: Readonly<Record<string, unknown>>
  /** Client identifier. */
  readonly clientId: string
  /** Credential of the client. */
  readonly authentication: ClientAuthentication
  /**
   * Hosts that plain `http` may reach, such as `["keycloak:8080"]` inside a container network. Who can read that
   * network gets the secret and the tokens.
   *
   * @default []
   */
  readonly httpHosts?: ReadonlyArray<string>
  /** Time limit of a token request. Default: 10 seconds. */
  readonly timeout?: Duration.Input
  /**
   * Key pair for DPoP (RFC 9449), such as of `crypto.subtle.generateKey`. The tokens are then bound to the key.
   *
   * Default: none, which gets bearer tokens.
   */
  readonly dpop?: CryptoKeyPair
}
