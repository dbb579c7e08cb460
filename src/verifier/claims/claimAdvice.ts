/** Explains to operators why signed claims were refused. Each message names the cause and the option. */
import type { InvalidToken } from "../../core/SecurityError.ts"
import { isOfEntra } from "./accessTokenMarks.ts"
import * as read from "./claims.ts"
import type { Claims, CheckedPolicy } from "./policy.ts"
import { adviceOnPreset } from "./presets.ts"

/** A message, and its kind, which is the same for all tokens with this cause. */
export interface Advice {
  readonly kind: string
  readonly text: string
}

/** Returns the advice for claims that `claims.read` refused. Only a token with a valid signature may cause it. */
export const adviceOn = (error: InvalidToken, claims: Claims, policy: CheckedPolicy, now: number): Advice => {
  const { claim = "", reason } = error
  if (claim === policy.audienceClaim && policy.audience !== undefined && claims[claim] === undefined) {
    return { kind: `${claim} is missing`, text: `${adviceOnMissingAudience(policy)} ${identity(claims, policy)}` }
  }
  const [cause, instruction] = explain(claim, reason === "Expired", claims, policy, now)
  const text = read.advice(error, policy) ?? `A token of ${policy.issuer} was refused, because ${cause}. ${instruction}`
  return claim === "iss" || claim === policy.audienceClaim
    ? { kind: claim, text: `${text} ${identity(claims, policy)}` }
    : // The cause contains numbers of seconds.
      { kind: instruction, text }
}

// Does not name `audience: false`, which accepts tokens for every API.
const adviceOnMissingAudience = ({ audienceClaim, issuer }: CheckedPolicy): string =>
  `A token of ${issuer} was refused, because its ${audienceClaim} claim is missing. ${
    audienceClaim === "aud"
      ? "Register this API as an audience at the issuer, and let clients request it. If tokens of the issuer never have aud, use the function of your provider in Provider, or set the audienceClaim option to the claim that names this API or its clients." +
        adviceOnPreset(issuer)
      : `If the issuer can, make it write ${audienceClaim}. If another claim names this API or its clients, correct the audienceClaim option.`
  }`

const explain = (
  claim: string,
  isExpired: boolean,
  claims: Claims,
  policy: CheckedPolicy,
  now: number
): readonly [cause: string, instruction: string] => {
  const time = claims[claim]
  const ahead = typeof time === "number" ? Math.ceil(time - now / 1000) : undefined
  switch (claim) {
    case "exp":
      return isExpired
        ? [
            `it expired ${-(ahead ?? 0)} seconds ago`,
            "Clients must get a new token before the old one expires. If new tokens are refused, too, this server's clock is ahead. Synchronize the clocks (NTP)."
          ]
        : ["its exp claim is missing or not a number of seconds", "The issuer must write exp (RFC 9068 §2.2)."]
    case "iat":
    case "nbf":
      if (time === undefined)
        return [
          "it has no iat, which maxTokenAge needs",
          "Remove the maxTokenAge option, or make the issuer write iat."
        ]
      if (ahead === undefined)
        return [`its ${claim} claim is not a number of seconds`, "The issuer must write numbers (RFC 7519 §2)."]
      return ahead > 0
        ? [
            `its ${claim} is ${ahead} seconds ahead of this server's clock, and clockTolerance is ${policy.clockTolerance / 1000} seconds`,
            "Synchronize the clocks of the issuer and of this server (NTP). If small differences remain, set the clockTolerance option, which is at most 60 seconds."
          ]
        : [
            `it was issued ${-ahead} seconds ago, which is longer than the maxTokenAge option allows`,
            "Clients must get new tokens more often. If this server's clock is ahead, synchronize it (NTP)."
          ]
    case "sub":
      return [
        `it has no ${policy.subjectClaims.join(" and no ")}, or the value is not a non-empty string`,
        `Set the subjectClaims option to the claims that name the subject. For clients that act for themselves, it can be ["sub", "client_id"]. No client may then choose the identifier of a user as its own (RFC 9068 §5).`
      ]
    case "cnf":
      return [
        "it is bound in a way that this library does not verify (cnf)",
        "Configure the issuer to bind tokens for this API to a DPoP key (jkt) or a certificate (x5t#S256), or not at all."
      ]
    default:
      return [
        `its ${claim} claim is missing or differs from the value in requiredClaims`,
        `If the token is for this API, correct ${claim} in the requiredClaims option.`
      ]
  }
}

/** Tells operators which issuer and audience the token has. */
const identity = (claims: Claims, { audienceClaim, issuer }: CheckedPolicy): string => {
  const names = Array.from(new Set(["iss", "aud", audienceClaim]))
  const iss = claims["iss"]
  const version = versionOfEntra(iss)
  const isOtherVersion = version !== undefined && version !== (versionOfEntra(issuer) ?? version)
  return `The token has ${names.map((name) => `${name} ${shown(claims[name])}`).join(" and ")}.${
    isOtherVersion
      ? version === "1.0"
        ? ` This is a token of version 1.0. Set requestedAccessTokenVersion: 2 in the manifest of the API's app registration, or use Provider.entra with version: "1.0".`
        : " This is a token of version 2.0. Use Provider.entra without version."
      : ""
  }`
}

/** Returns the version of the tokens of an issuer of Entra ID. */
const versionOfEntra = (issuer: unknown): "1.0" | "2.0" | undefined =>
  typeof issuer !== "string" || !isOfEntra(issuer) ? undefined : issuer.startsWith("https://sts.") ? "1.0" : "2.0"

const maxShown = 200

/** Escapes control characters, so that a value cannot forge another log line. */
export const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "(absent)"
  return text.length > maxShown ? `${text.slice(0, maxShown)}…` : text
}

/** Returns advice for an accepted token: its scopes are written in another format, or its audience is not checked. */
export const adviceOnAccepted = (claims: Claims, policy: CheckedPolicy): ReadonlyArray<Advice> => {
  const scopes = adviceOnScopes(claims, policy)
  const advice = scopes === undefined ? [] : [{ kind: scopes, text: scopes }]
  return policy.audience === undefined && claims["aud"] !== undefined
    ? [...advice, { kind: "audience: false", text: adviceOnAudience(claims, policy) }]
    : advice
}

const adviceOnAudience = (claims: Claims, { issuer }: CheckedPolicy): string =>
  `Tokens of ${issuer} name their audience, but audience: false accepts tokens for every API. A token has aud ${shown(claims["aud"])}. If it names this API, set the audience option to it.`

const adviceOnScopes = (claims: Claims, { issuer, scopes }: CheckedPolicy): string | undefined => {
  switch (scopes.betterFormat(claims)) {
    case "names":
      return `A token of ${issuer} has an object where its scopes are expected, which grants nothing. If the names in the object are the scopes, set scopesFormat: "names". Otherwise, correct scopesPath.`
    case "commas":
      return `A token of ${issuer} has a comma in its scopes. If commas separate the scopes, set scopesFormat: "commas".`
    default:
      return
  }
}
