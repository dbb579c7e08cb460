/** What the web app and the authorization server agree on. */
import { port } from "../support/Addresses.ts"

/** Origin of the app for browsers. Set `PUBLIC_URL` if a proxy in front of the example serves https. */
export const publicUrl = process.env["PUBLIC_URL"] ?? `http://localhost:${port}`

export const isHttps = publicUrl.startsWith("https:")

export const scopes = { "notes:read": "Read your notes", "notes:write": "Add notes" }

export const client = { clientId: "web-app", clientSecret: "web-app-secret" }

/**
 * Returns the client as the authorization server registers it (RFC 7591 §2). The authorization server sends logout
 * tokens to `internalUrl`, because this request needs no browser.
 */
export const registration = (publicUrl: string, internalUrl: string) => ({
  client_id: client.clientId,
  client_secret: client.clientSecret,
  grant_types: ["authorization_code", "refresh_token"],
  redirect_uris: [`${publicUrl}/callback`],
  post_logout_redirect_uris: [`${publicUrl}/logout/callback`],
  backchannel_logout_uri: `${internalUrl}/backchannel-logout`,
  backchannel_logout_session_required: true
})
