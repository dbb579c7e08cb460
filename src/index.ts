/**
 * OAuth 2 security for Effect 4 HTTP services.
 *
 * @since 0.1.0
 */
export { AccessToken, type Confirmation, OptionalAccessToken, type VerifiedToken } from "./core/AccessToken.ts"
export { BearerToken } from "./core/BearerToken.ts"
export * as Challenge from "./core/Challenge.ts"
export { type Decision, DecisionLog } from "./guard/DecisionLog.ts"
export * as Dpop from "./verifier/Dpop.ts"
export * as JwtVerifier from "./verifier/JwtVerifier.ts"
export * as KeySet from "./verifier/KeySet.ts"
export * as MutualTls from "./verifier/MutualTls.ts"
export * as OAuth2 from "./oauth2/OAuth2.ts"
export * as OpenApiSecurity from "./openApi/OpenApiSecurity.ts"
export * as Provider from "./verifier/Provider.ts"
export { type Isolation, RequestIsolation } from "./core/RequestIsolation.ts"
export * as Requirement from "./guard/Requirement.ts"
export * as SecurityError from "./core/SecurityError.ts"
export { SecurityScopes } from "./core/SecurityScopes.ts"
export * as Signatures from "./verifier/Signatures.ts"
export { SocketTicket, type SocketTicketOptions } from "./verifier/SocketTicket.ts"
export * as SwaggerUi from "./swaggerUi/SwaggerUi.ts"
export * as TokenIntrospection from "./verifier/TokenIntrospection.ts"
export {
  type TokenFormOptions,
  type TokenCacheOptions,
  type TokenCaching,
  TokenVerifier
} from "./verifier/TokenVerifier.ts"
