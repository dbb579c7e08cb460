/** Remembers a few tokens that are refused by their form. */
import type { InvalidToken } from "../../core/SecurityError.ts"
import { isToken, prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"

const capacity = 64
const maxLength = 256

/**
 * The tokens that were last refused by their form, by the fields that they came in: a client that sends nonsense (`Bearer undefined`) sends the same again,
 * and what the form refuses, it refuses for ever. Only short ones are kept, and few, when they come for the second time.
 */
export class RefusedTokens {
  readonly #admission = new AdmissionFilter(2 ** 10)
  readonly #errors = new Map<string, InvalidToken>()

  get(field: string): InvalidToken | undefined {
    return field.length > maxLength ? undefined : this.#errors.get(field)
  }

  add(text: string, error: InvalidToken): void {
    // What is no token by its form is not asked for here: the field is another error.
    if (text.length + prefix.length > maxLength || this.#admission.isNew(text) || !isToken(text)) return
    if (this.#errors.size >= capacity) this.#errors.clear()
    this.#errors.set(prefix + text, error)
  }
}
