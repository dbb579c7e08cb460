/**
 * The pages of the authorization server: HTML without scripts, with a strict Content-Security-Policy.
 *
 * A page is a `{ body, headers }` record, so that both Effect and Koa, which oidc-provider uses, can send it.
 */
import { createHash } from "node:crypto"

export interface Page {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

const style = `
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  main { max-width: 22rem; margin: 15vh auto 0; padding: 0 1rem }
  label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit }
  input, button { margin-top: .5rem; padding: .5rem .75rem }
  [role=alert] { font-weight: bold }
`

const styleHash = createHash("sha256").update(style).digest("base64")

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** `formTargets` are the origins that a form of this page may submit to, also through redirects. */
const page = (title: string, content: string, formTargets: ReadonlyArray<string> = []): Page => ({
  headers: {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": [
      "default-src 'none'",
      `style-src 'sha256-${styleHash}'`,
      `form-action ${["'self'", ...formTargets].join(" ")}`,
      "base-uri 'none'",
      "frame-ancestors 'none'"
    ].join("; ")
  },
  body: `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${title}</h1>
${content}
</main>
</body>
</html>
`
})

/** The sign-in page. Its form posts to the URL of the page. */
export const login = (options: {
  readonly clientId: string
  readonly scope: string
  readonly redirectUri: string
  readonly message?: string
}): Page =>
  page(
    "Sign in",
    `<p>${escape(options.clientId)} requests: ${escape(options.scope)}</p>
<form method="post">
${options.message === undefined ? "" : `<p role="alert" id="message">${escape(options.message)}</p>`}
<label for="login">Your name (any name, no password)</label>
<input id="login" name="login" type="text" autocomplete="username" maxlength="255" required autofocus${
      options.message === undefined ? "" : ` aria-invalid="true" aria-describedby="message"`
    }>
<button type="submit">Sign in</button>
</form>`,
    // Chromium also applies form-action to redirects after a submission. Without this origin, the client gets no code.
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
