/**
 * HTML pages without scripts, with a strict Content-Security-Policy: of the web page, and of the authorization server.
 *
 * A page is a `{ body, headers }` record, so that both Effect and Koa, which oidc-provider uses, can send it.
 */
import { HttpServerResponse } from "effect/http"
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
  form { margin: 1rem 0 }
  [role=alert] { font-weight: bold }
`

const styleHash = createHash("sha256").update(style).digest("base64")

export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/**
 * `formTargets` are the origins that a form of this page may reach through redirects: Chromium applies `form-action` to
 * redirects, too.
 */
export const page = (title: string, content: string, formTargets: ReadonlyArray<string> = []): Page => ({
  headers: {
    "content-type": "text/html; charset=utf-8",
    // After a sign-out, the back button must not show the page.
    "cache-control": "no-store",
    "content-security-policy": [
      "default-src 'none'",
      `style-src 'sha256-${styleHash}'`,
      `form-action ${["'self'", ...formTargets].join(" ")}`,
      "base-uri 'none'",
      "frame-ancestors 'none'"
    ].join("; "),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff"
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

export const send = (page: Page, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(page.body, { status, headers: page.headers })
