/** The API's security scheme. */
import { OAuth2 } from "effect-oauth2"

export interface Endpoints {
  readonly authorizationUrl: string
  readonly tokenUrl: string
}

/** With `session`, the scheme also accepts the session cookie of a browser. The requirements stay the same. */
export const make = (endpoints: Endpoints, session?: OAuth2.SessionCookie) =>
  OAuth2.authorizationCode("OAuth2", {
    ...endpoints,
    ...(session === undefined ? {} : { session }),
    scopes: {
      "items:read": "Read the items",
      "items:write": "Add items",
      me: "Read your own profile"
    }
  })

export type Auth = ReturnType<typeof make>

/** Scopes that a caller of domain code must have. */
export type Granted<Scope extends "items:read" | "items:write" | "me"> = OAuth2.Granted<"OAuth2", Scope>
