/** A scheme with four scopes, tokens that grant some of them, and helpers for the responses. */
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"
import { Verifier } from "./TestVerifier.ts"
import type { Answer } from "./web.ts"

export const auth = OAuth2.authorizationCode("OAuth2", {
  ...authorizationServer,
  scopes: { a: "", b: "", c: "", d: "" }
})

export const verifier = () => new Verifier({ none: [], a: ["a"], ab: ["a", "b"], abc: ["a", "b", "c"] })

export const summary = ({ body, challenge, status }: Answer) => [status, challenge, body]

export const detail = (text: string) => `{"detail":"${text}"}`
