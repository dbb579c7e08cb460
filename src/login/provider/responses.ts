/** Changes token responses before they are read. */
import { isReadonlyObject } from "effect/Predicate"
import { type RawResponse, unverifiedIdToken } from "../../client/protocol/tokenEndpoint.ts"
import { own } from "../../core/lib/ownProperties.ts"
import type { LoginProvider } from "./model.ts"

const isForm = (contentType: string | undefined): boolean =>
  contentType?.toLowerCase().startsWith("application/x-www-form-urlencoded") === true

/**
 * Hides the ID token from oauth4webapi, because the verifier of this library verifies it. Reads the responses of GitHub,
 * which are forms, and have status 200 for an error.
 */
export const adaptWith =
  ({ errorNames, scopeSeparator }: LoginProvider) =>
  (response: RawResponse): RawResponse => {
    const body = bodyOf(response)
    if (body === undefined) return response
    const { id_token: idToken, scope, ...rest } = body
    const { error } = body
    const adapted = {
      ...rest,
      ...(typeof error === "string" && { error: own(errorNames, error) ?? error }),
      ...(idToken !== undefined && { [unverifiedIdToken]: idToken }),
      ...(scope !== undefined && {
        scope: scopeSeparator === "," && typeof scope === "string" ? scope.replaceAll(",", " ") : scope
      })
    }
    const isError = typeof error === "string" && body["access_token"] === undefined
    return {
      status: isError && response.status === 200 ? 400 : response.status,
      contentType: "application/json",
      text: JSON.stringify(adapted)
    }
  }

const bodyOf = ({ contentType, text }: RawResponse): Readonly<Record<string, unknown>> | undefined => {
  if (isForm(contentType)) return Object.fromEntries(new URLSearchParams(text))
  try {
    const body: unknown = JSON.parse(text)
    return isReadonlyObject(body) ? body : undefined
  } catch {
    return
  }
}
