/**
 * Explains to operators why a token was refused before its signature was verified. Anyone can send such a token, so the
 * messages contain no token content.
 */
import { asymmetric } from "../keys/algorithms.ts"
import type { CheckedPolicy } from "../claims/policy.ts"

/** The fault of a token. */
export type Fault =
  | "TooLong"
  | "Opaque"
  | "Encrypted"
  | "Form"
  | "Issuer"
  | "IssuerForm"
  | "IssuerNotAllowed"
  | "Algorithm"
  | "UnsupportedAlgorithm"

/** Returns the fault of a token that `compact.parse` refused. */
export const faultOf = (token: string): Fault => {
  const segments = token.split(".", 6).length
  return segments === 3 ? "Form" : segments === 5 ? "Encrypted" : "Opaque"
}

export const isSupported = (algorithm: string): boolean => Object.hasOwn(asymmetric, algorithm)

/** `algorithm` is the name of a supported algorithm. */
export const adviceOn = (
  fault: Fault,
  algorithm: string | undefined,
  policies: ReadonlyArray<CheckedPolicy>,
  verifier = policies.map(({ issuer }) => issuer).join(" or ")
): string => {
  const subject = `A token for ${verifier} was refused, because`
  const algorithms = new Set(policies.flatMap((policy) => [...policy.algorithms]))
  const allowed = `The allowed algorithms are ${[...algorithms].join(", ")}.`
  switch (fault) {
    case "TooLong":
      return `${subject} it is longer than the maxTokenLength option allows. If tokens of the issuer are longer than ${Math.max(
        ...policies.map(({ maxTokenLength }) => maxTokenLength)
      )} characters, raise the option, and BearerToken.MaxLength for the whole Authorization header.`
    case "Opaque":
      return `${subject} it is not a JWT, which has three parts separated by dots. Clients must send the access token, and must request it for the audience of this API. If the issuer issues opaque tokens, use TokenIntrospection.`
    case "Encrypted":
      return `${subject} it is encrypted (JWE), and JwtVerifier accepts only signed tokens. Switch encryption off at the issuer, or use TokenIntrospection.`
    case "Form":
      return `${subject} it is not a well-formed JWT. A JWT is base64url without padding, and its header is strict JSON without duplicate members. The header has at most 1024 bytes (8192 bytes with certificates in x5c) and 128 commas, colons and opening brackets. It has none of crit, b64, enc and jwk.`
    case "Issuer":
      return `${subject} its iss claim is not one of these issuer options. An option must equal iss exactly, including a trailing slash.`
    case "IssuerForm":
      return `${subject} its iss claim is not the URL of an issuer, so allow did not run. An issuer is an https URL without credentials, query, fragment and white space, and without /.well-known/. For http in a container network, set the httpHosts option.`
    case "IssuerNotAllowed":
      return `${subject} the allow option did not return true for its iss claim. If the issuer is one of yours, allow must accept exactly the iss of its tokens, including https:// and a trailing slash.`
    case "Algorithm":
      return [...algorithms].every(isSupported)
        ? `${subject} its algorithm is ${algorithm}. ${allowed} If the issuer signs with ${algorithm}, add it to the algorithms option.`
        : `${subject} it is signed with a private key, and layerSecret verifies tokens with a shared secret. If the issuer publishes its keys, use JwtVerifier.layer.`
    case "UnsupportedAlgorithm":
      return `${subject} its algorithm is not one that this verifier supports. ${allowed} Configure the issuer to sign with one of them.`
  }
}

export const adviceOnKey = (alg: string, kid: string | undefined, { issuer }: CheckedPolicy): string =>
  `A token for ${issuer} was refused, because the key set has no usable key for ${alg} ${
    kid === undefined ? "(the token has no kid)" : "with the kid of the token"
  }. Check that the issuer option names the issuer that signs the tokens. Check that its key set has the key with kid, and with a fitting alg or without alg.`

/** Advice for `layerSecret`: with a wrong secret, every token fails here. */
export const adviceOnSecret = ({ issuer }: CheckedPolicy): string =>
  `A token for ${issuer} was refused, because its signature does not match the secret option. The token is forged, or it was signed with another secret. If every token is refused, compare the secrets. Decode a secret in base64 or hex to bytes first.`

export const claimsAreMalformed =
  "A signed token was refused, because its claims are not strict JSON: an object in UTF-8 without duplicate members and with at most 16 levels. Correct the claims at the issuer."
