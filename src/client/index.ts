/**
 * Gets tokens, and sends them to APIs.
 *
 * @since 0.1.0
 */
export * as AssertionGrant from "./AssertionGrant.ts"
export * as AuthorizedClient from "./AuthorizedClient.ts"
export * as ClientAuthentication from "./ClientAuthentication.ts"
export * as ClientCredentials from "./ClientCredentials.ts"
export * as ClientError from "./ClientError.ts"
export * as ClientRegistration from "./ClientRegistration.ts"
export * as DeviceAuthorization from "./DeviceAuthorization.ts"
export * as LoopbackLogin from "./LoopbackLogin.ts"
export * as RefreshToken from "./RefreshToken.ts"
export * as ResourceClient from "./ResourceClient.ts"
export * as ResourceDiscovery from "./ResourceDiscovery.ts"
export * as TokenExchange from "./TokenExchange.ts"
export { type ClientToken, type ProofRequest, type TokenRequest, TokenSource } from "./TokenSource.ts"
export {
  type FileOptions,
  type KeychainEntry,
  type KeychainOptions,
  type RedisOptions,
  type SharedOptions,
  type Store,
  type StoredGrant,
  StoreUnavailable,
  TokenStore,
  type VersionedGrant
} from "./TokenStore.ts"
