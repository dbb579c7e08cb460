/**
 * Signs people in to a web app, and keeps their sessions.
 *
 * @since 0.1.0
 */
export { Login, type LoginOptions, NotSignedIn, type Problem } from "./Login.ts"
export * as LoginProvider from "./LoginProvider.ts"
export * as SessionVerifier from "./SessionVerifier.ts"
export {
  type Session,
  type SessionData,
  type SessionOwner,
  type SessionStore,
  Sessions,
  SignedOut,
  StoreUnavailable,
  type TimeoutOptions
} from "./Sessions.ts"
