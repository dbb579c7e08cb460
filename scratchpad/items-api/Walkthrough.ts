/** The text that the program prints when it is ready: the first steps, and commands to copy. */
import { clients } from "./AuthorizationServer.ts"
import type { Issuer } from "./Issuer.ts"

export const make = (api: string, base: string, issuer: Issuer): string =>
  `
The Items API is ready.

  API     ${api}
  Issuer  ${issuer.issuer}${issuer.embedded ? " (embedded, in memory)" : ""}
  Log     warnings and errors (LOG_LEVEL=Info adds requests)

${issuer.pageOrigin === undefined ? "" : webPage(issuer.pageOrigin)}Open ${base}/docs, press Authorize${issuer.embedded ? ", and again in the dialog, and sign in as demo" : ""}.
Then open an operation, press Try it out, and Execute.

Copy these into another terminal:

  # Public endpoints
  curl ${api}/health
  curl ${api}/greeting

  # Without a token: 401, and the challenge names the scheme
  curl -i ${api}/items

${issuer.embedded ? embeddedToken(issuer) : externalToken(issuer)}

  # With the token
  curl ${api}/items -H "Authorization: Bearer $TOKEN"
  curl ${api}/items -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"name":"A first item"}'
  curl ${api}/users/me -H "Authorization: Bearer $TOKEN"
  curl ${api}/greeting -H "Authorization: Bearer $TOKEN"

  # An invalid body is refused, and the response names what is wrong
  curl -i ${api}/items -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" -d '{"name":1}'

  # An invalid token is refused, even if authentication is optional. The challenge names the required scopes.
  curl -i ${api}/users/me -H "Authorization: Bearer nonsense"
  curl -i ${api}/greeting -H "Authorization: Bearer nonsense"

Ctrl-C ends the program.
`

const webPage = (origin: string) => `Open ${origin} for the web page: sign in as demo, add an item, and sign out.
`

const embeddedToken = (issuer: Issuer) => {
  const { clientId, clientSecret } = clients.cli
  const request = (scope: string) =>
    `$(curl -s -u ${clientId}:${clientSecret} -d grant_type=client_credentials -d 'scope=${scope}' ${issuer.tokenUrl} | sed 's/.*"access_token":"\\([^"]*\\).*/\\1/')`
  return `  # Get a token (client credentials)
  TOKEN=${request("items:read items:write me")}

  # A token that lacks a required scope: the challenge names all required scopes
  READER=${request("items:read")}
  curl -i ${issuer.audience}/items -H "Authorization: Bearer $READER" -H "Content-Type: application/json" -d '{"name":"No"}'`
}

const externalToken = (issuer: Issuer) =>
  `  # Get a token for the audience ${issuer.audience} from ${issuer.tokenUrl}
  TOKEN=...`
