/** Remembers a few tokens whose form is refused. */
import type { InvalidToken } from "../../core/SecurityError.ts"
import { isToken, prefix } from "../../core/authorizationHeader.ts"
import { AdmissionFilter } from "./admission.ts"

const capacity = 64
const maxLength = 256

/**
 * The errors of tokens whose form was refused, by the value of the `Authorization` header. A client that sends `Bearer undefined` sends it again, and the
 * form of a token is refused for ever. Only 64 short tokens are remembered, each when it comes for the second time.
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
