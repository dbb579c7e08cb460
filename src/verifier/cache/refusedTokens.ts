/** Caches the errors of a few tokens with an invalid form. */
import type { InvalidToken } from "../../core/SecurityError.ts"
import { isToken, prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"

const capacity = 64
const maxLength = 256

/**
 * The errors of tokens with an invalid form, by the value of the `Authorization` header. A client that sends
 * `Bearer undefined` usually sends it again, and such a token can never be accepted. The cache holds at most 64 tokens
 * of at most 256 characters, and admits each on its second use.
 */
export class RefusedTokens {
  readonly #admission = new AdmissionFilter(2 ** 10)
  readonly #errors = new Map<string, InvalidToken>()

  get(field: string): InvalidToken | undefined {
    return field.length > maxLength ? undefined : this.#errors.get(field)
  }

  add(text: string, error: InvalidToken): void {
    // If the text is not a token68, the header itself is the error (`InvalidRequest`).
    if (text.length + prefix.length > maxLength || this.#admission.isNew(text) || !isToken(text)) return
    if (this.#errors.size >= capacity) this.#errors.clear()
    this.#errors.set(prefix + text, error)
  }
}
