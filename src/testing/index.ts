/**
 * Tools for tests: an authorization server that your test controls, in process or on a socket.
 *
 * **Example** (Minting a token and verifying it in process)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { JwtVerifier } from "effect-oauth2"
 * import { TestIssuer } from "effect-oauth2/testing"
 *
 * export const token = TestIssuer.use(({ mint }) => mint({ subject: "alice", scopes: ["items:read"] }))
 *
 * export const Test = JwtVerifier.layer({ issuer: "https://issuer.test", audience: "https://api.test" }).pipe(
 *   Layer.provideMerge(TestIssuer.layer())
 * )
 * ```
 *
 * @since 0.1.0
 */
export { type DpopClient, makeDpopClient, type ProofOptions } from "./DpopClient.ts"
export type {
  AuthorizationServerOptions,
  LogoutTokenOptions,
  ProtocolEndpoint,
  RefreshTokenOptions,
  TestClient,
  TestEndpoints,
  TestSession,
  TestUser
} from "./authorizationServer/model.ts"
export type {
  MetadataPlace,
  IssuerResponse,
  Endpoint,
  Issuer,
  IssuerRequest,
  MintOptions,
  OpaqueOptions,
  Profile,
  ProviderName,
  RawPart,
  RawToken,
  SigningAlgorithm,
  SigningKey,
  TestIssuerOptions
} from "./issuerModel.ts"
export { TestIssuer } from "./TestIssuer.ts"
