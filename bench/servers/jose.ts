/** Verifies tokens with jose and a local key set, as its documentation shows. */
import * as Jose from "jose"
import { fetchKeys, settings } from "./child.ts"

const { algorithm, audience, issuer } = settings

const keySet = Jose.createLocalJWKSet((await fetchKeys()) as Jose.JSONWebKeySet)

export const verify = async (token: string): Promise<Jose.JWTPayload> => {
  const { payload } = await Jose.jwtVerify(token, keySet, {
    issuer,
    audience,
    algorithms: [algorithm],
    typ: "at+jwt",
    requiredClaims: ["exp", "sub"]
  })
  return payload
}
