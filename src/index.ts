/**
 * OAuth 2 security for Effect 4 HTTP services.
 *
 * @since 0.1.0
 */
export { AccessToken, OptionalAccessToken, type VerifiedToken } from "./AccessToken.ts"
export { BearerToken } from "./BearerToken.ts"
export * as Challenge from "./Challenge.ts"
export * as JwtVerifier from "./JwtVerifier.ts"
export * as KeySet from "./KeySet.ts"
export * as OAuth2 from "./OAuth2.ts"
export * as OpenApiSecurity from "./OpenApiSecurity.ts"
export * as Provider from "./Provider.ts"
export * as Requirement from "./Requirement.ts"
export * as SecurityError from "./SecurityError.ts"
export { SecurityScopes } from "./SecurityScopes.ts"
export * as SwaggerUi from "./SwaggerUi.ts"
export * as TokenIntrospection from "./TokenIntrospection.ts"
export { type TokenCacheOptions, type TokenCaching, TokenVerifier } from "./TokenVerifier.ts"
