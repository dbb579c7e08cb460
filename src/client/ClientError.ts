/**
 * Errors of a client that gets tokens and sends them.
 *
 * **Details**
 *
 * | error | meaning | what to do |
 * |---|---|---|
 * | `TokenUnavailable` | the authorization server does not answer, or answers with an error of its own | try again later |
 * | `TokenRefused` | the authorization server refuses the client or its request | correct the options |
 * | `ReauthenticationRequired` | the user's grant has ended | let the user sign in again |
 * | `ScopesRequired` | the API wants more scopes than the source may ask for | ask the user for consent, or raise the ceiling |
 * | `SignInFailed` | the user refused, or did not sign in in time | let the user try again |
 * | `TokenStoreError` | the store of the user's tokens does not work | repair the store |
 * | `StepUpRequired` | the API wants a more recent or stronger authentication | let the user sign in again, with these values |
 *
 * No error contains a token, a secret, or text that the server wrote freely.
 *
 * @since 0.1.0
 */
export {
  ReauthenticationRequired,
  type RequestError,
  ScopesRequired,
  SignInFailed,
  StepUpRequired,
  type TokenError,
  TokenRefused,
  TokenStoreError,
  TokenUnavailable
} from "../core/clientErrors.ts"
