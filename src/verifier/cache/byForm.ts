/** Chooses between two verifiers by the form of each token. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isReadonlyObject } from "effect/Predicate"
import { exitOf } from "../../core/lib/exit.ts"
import { parseText } from "../claims/strictJson.ts"
import { directOf, type DirectVerifier, toService } from "./directVerifier.ts"
import type { VerifierService } from "./verified.ts"

/** Options of `TokenVerifier.layerByForm` without its verifiers. */
export interface TokenFormOptions {
  /**
   * Issuers whose JWTs the `opaque` verifier verifies, such as an issuer whose revocations must count at once. The
   * unverified `iss` selects the verifier, and that verifier must check it.
   *
   * @default []
   */
  readonly opaqueIssuers?: ReadonlyArray<string>
  /**
   * What happens to a JWT that the `jwt` verifier refuses.
   *
   * - `"refuse"`: the response is that of the refusal. The `opaque` verifier does not see the token.
   * - `"opaque"`: the `opaque` verifier decides. A JWT for another audience, or with a wrong signature, is then accepted
   *   if the authorization server reports that it is active. Every forged JWT costs an introspection request.
   *
   * A JWT that cannot be verified now (503) never goes to the `opaque` verifier.
   *
   * @default "refuse"
   */
  readonly refusedJwts?: "refuse" | "opaque"
}

/** Decodes as lenient decoders do: drops every character that is not base64url, and ignores the unused bits. */
const decode = (segment: string): string => {
  const characters = segment
    .replaceAll("-", "+")
    .replaceAll("_", "/")
    .replace(/[^A-Za-z0-9+/]/g, "")
  const whole = characters.length % 4 === 1 ? characters.slice(0, -1) : characters
  return new TextDecoder().decode(Uint8Array.from(atob(whole), (character) => character.charCodeAt(0)))
}

const parse = (segment: string): unknown => {
  try {
    return JSON.parse(decode(segment))
  } catch {
    return
  }
}

/**
 * Returns `true` unless any library could read the token as a signed JWT: a JSON object with `alg`, then a dot. A JWT
 * that someone has damaged must not pass as an opaque token, because the two verifiers have different rules. Only the
 * authorization server can read an encrypted JWT (RFC 7516 §9).
 */
const isOpaque = (token: string, opaqueIssuers: ReadonlySet<string>): boolean => {
  const end = token.indexOf(".")
  if (end === -1) return true
  const header = parse(token.slice(0, end))
  if (!isReadonlyObject(header) || !Object.hasOwn(header, "alg")) return true
  const segments = token.split(".", 6)
  if (segments.length === 5 && Object.hasOwn(header, "enc")) return true
  if (opaqueIssuers.size === 0) return false
  const issuer = parseText(decode(segments[1] ?? ""))?.["iss"]
  return typeof issuer === "string" && opaqueIssuers.has(issuer)
}

export const make = (
  verifiers: { readonly jwt: VerifierService; readonly opaque: VerifierService },
  { opaqueIssuers = [], refusedJwts = "refuse" }: TokenFormOptions
): VerifierService => {
  const jwt = directOf(verifiers.jwt)
  const opaque = directOf(verifiers.opaque)
  const issuers = new Set(opaqueIssuers)
  const fallsBack = refusedJwts === "opaque"

  const verify: DirectVerifier["verify"] = (text, fiber) => {
    if (isOpaque(text, issuers)) return opaque.verify(text, fiber)
    const verified = jwt.verify(text, fiber)
    return fallsBack ? Effect.catchTag(verified, "InvalidToken", () => opaque.verify(text, fiber)) : verified
  }

  // Each cache contains only the tokens of its own verifier, so a lookup needs no form.
  const lookUpIn =
    (lookUp: "lookUp" | "lookUpPresented"): DirectVerifier["lookUp"] =>
    (text, fiber) => {
      const found = jwt[lookUp](text, fiber)
      if (!fallsBack) return found ?? opaque[lookUp](text, fiber)
      const exit = found && exitOf(found.verified)
      return exit !== undefined && Exit.isSuccess(exit) ? found : opaque[lookUp](text, fiber)
    }

  return {
    ...toService({ lookUp: lookUpIn("lookUp"), lookUpPresented: lookUpIn("lookUpPresented"), verify }, () => {}),
    invalidate: (token) => Effect.andThen(verifiers.jwt.invalidate(token), verifiers.opaque.invalidate(token))
  }
}
