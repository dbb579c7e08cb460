/** Contains one example of each error, without details. Documents show the responses to these errors. */
import * as Duration from "effect/Duration"
import {
  AuthorizationServerUnavailable,
  FailedCheck,
  InsufficientScope,
  InsufficientUserAuthentication,
  InvalidDpopProof,
  InvalidRequest,
  InvalidToken,
  NotAuthenticated,
  type SecurityError,
  UseDpopNonce
} from "./SecurityError.ts"

export const exampleErrors: {
  readonly [Tag in SecurityError["_tag"]]: Extract<SecurityError, { readonly _tag: Tag }>
} = {
  NotAuthenticated: new NotAuthenticated({ reason: "Unspecified" }),
  InvalidRequest: new InvalidRequest({ reason: "Unspecified" }),
  InvalidToken: new InvalidToken({ reason: "Unspecified" }),
  InvalidDpopProof: new InvalidDpopProof({ reason: "Unspecified" }),
  UseDpopNonce: new UseDpopNonce({ reason: "Unspecified", nonce: "nonce" }),
  InsufficientScope: new InsufficientScope({ required: [], missing: [] }),
  FailedCheck: new FailedCheck({ checks: [] }),
  InsufficientUserAuthentication: new InsufficientUserAuthentication({
    reason: "Unspecified",
    acrValues: [],
    required: [],
    missing: []
  }),
  AuthorizationServerUnavailable: new AuthorizationServerUnavailable({
    reason: "Unspecified",
    retryAfter: Duration.seconds(1)
  })
}
