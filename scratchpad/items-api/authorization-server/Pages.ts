/**
 * The few pages of the authorization server: plain HTML without scripts, and a Content-Security-Policy that lets
 * nothing else in. A page is a `{ body, headers }` record, so that both Effect and oidc-provider's Koa can send it.
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

/** `formTargets`: where a form of this page, and the redirects that follow its submission, may lead. */
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

/** Asks for a name. The form is posted back to the page's own address. */
export const login = (options: {
  readonly clientId: string
  readonly scope: string
  readonly redirectUri: string
  readonly message?: string
}): Page =>
  page(
    "Sign in",
    `<p>${escape(options.clientId)} asks for: ${escape(options.scope)}</p>
<form method="post">
${options.message === undefined ? "" : `<p role="alert" id="message">${escape(options.message)}</p>`}
<label for="login">Your name (any name will do, there is no password)</label>
<input id="login" name="login" type="text" autocomplete="username" maxlength="255" required autofocus${
      options.message === undefined ? "" : ` aria-invalid="true" aria-describedby="message"`
    }>
<button type="submit">Sign in</button>
</form>`,
    // Chromium applies form-action to the redirects after a submission too: without it, the client never gets its code.
    [new URL(options.redirectUri).origin]
  )

/** `form` is oidc-provider's own hidden form; the button belongs to it by id. */
export const logout = (form: string): Page =>
  page(
    "Sign out",
    `${form}
<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`
  )

export const loggedOut: Page = page("Signed out", "<p>You are signed out. You can close this page.</p>")

export const error = (code: string, description: string | undefined): Page =>
  page("Something went wrong", `<p role="alert">${escape(description ?? code)} (${escape(code)})</p>`)
