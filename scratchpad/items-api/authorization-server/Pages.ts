/** The pages of the authorization server. */
import { escape, page, type Page } from "../Html.ts"

/** The sign-in page. Its form posts to the URL of the page. */
export const login = (options: {
  readonly clientId: string
  readonly scope: string
  readonly redirectUri: string
  readonly hint: string
  readonly message?: string
}): Page =>
  page(
    "Sign in",
    `<p>${escape(options.clientId)} requests: ${escape(options.scope)}</p>
<p>${escape(options.hint)}</p>
<form method="post">
${options.message === undefined ? "" : `<p role="alert" id="message">${escape(options.message)}</p>`}
<label for="login">Your name (any name, no password)</label>
<input id="login" name="login" type="text" autocomplete="username" maxlength="255" required autofocus${
      options.message === undefined ? "" : ` aria-invalid="true" aria-describedby="message"`
    }>
<button type="submit">Sign in</button>
</form>`,
    // Without this origin, the client gets no code.
    [new URL(options.redirectUri).origin]
  )

/**
 * The sign-out page. `form` is the hidden form of oidc-provider. The button refers to it by ID. Afterwards, the browser
 * goes to the app at `returnTo`.
 */
export const logout = (form: string, returnTo: string | undefined): Page =>
  page(
    "Sign out",
    `<p>Do you want to sign out of the authorization server, too? Then another person can sign in.</p>
${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`,
    returnTo === undefined ? [] : [new URL(returnTo).origin]
  )

export const loggedOut: Page = page("Signed out", "<p>You are signed out. You can close this page.</p>")

export const error = (code: string, description: string | undefined): Page =>
  page("Something went wrong", `<p role="alert">${escape(description ?? code)} (${escape(code)})</p>`)
