/** The API's security scheme. */
import { OAuth2 } from "effect-oauth2"

export interface Endpoints {
  readonly authorizationUrl: string
  readonly tokenUrl: string
}

export const make = (endpoints: Endpoints) =>
  OAuth2.authorizationCode("OAuth2", {
    ...endpoints,
    scopes: {
      "items:read": "Read the items",
      "items:write": "Add items",
      me: "Read your own profile"
    }
  })

export type Auth = ReturnType<typeof make>

/** Scopes that a caller of domain code must have. */
export type Granted<Scope extends "items:read" | "items:write" | "me"> = OAuth2.Granted<"OAuth2", Scope>
