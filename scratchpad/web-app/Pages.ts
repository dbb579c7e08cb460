/** The pages of the app: HTML with a script of its own file, and a strict Content-Security-Policy. */
import { Option } from "effect"
import { HttpServerResponse } from "effect/http"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { issuer } from "../support/Addresses.ts"

/** A browser must not show a page again after the sign-out. */
export const notStored = { "cache-control": "no-store" }

const headers = {
  ...notStored,
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src data:",
    "connect-src 'self'",
    // The form of the sign-out leads to the authorization server. Chromium also applies the policy to redirects.
    `form-action 'self' ${issuer}`,
    "base-uri 'none'",
    "frame-ancestors 'none'"
  ].join("; "),
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

const page = (content: string, status = 200) =>
  HttpServerResponse.text(
    `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Notes</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/app.css">
<script type="module" src="/app.js"></script>
</head>
<body>
<main>
<h1>Notes</h1>
${content}
</main>
</body>
</html>
`,
    { status, contentType: "text/html; charset=utf-8", headers }
  )

export const home = (user: Option.Option<string>, loginPath: string) =>
  page(
    Option.match(user, {
      onSome: (subject) => `<p>You are signed in as <b>${escape(subject)}</b>. <a href="/notes">Your notes</a></p>`,
      onNone: () => `<p><a href="${escape(loginPath)}">Sign in</a></p>
<p><a href="${escape(`${loginPath}&prompt=login`)}">Sign in as another user</a></p>`
    })
  )

export const notes = (subject: string, notes: ReadonlyArray<string>) =>
  page(`<p>You are signed in as <b>${escape(subject)}</b>.</p>
<ul id="notes">${notes.map((note) => `<li>${escape(note)}</li>`).join("")}</ul>
<form id="add">
<label for="text">New note</label>
<input id="text" name="text" maxlength="200" required>
<button>Add</button>
<p id="status" role="status"></p>
</form>
<form method="post" action="/logout"><button>Sign out</button></form>
<form method="post" action="/sign-out-everywhere"><button>Sign out everywhere</button></form>`)

export const unavailable = page(`<p role="alert">The sessions are not available at the moment. Try again.</p>`, 503)

const file = (name: string, contentType: string) =>
  HttpServerResponse.text(readFileSync(join(import.meta.dirname, "public", name), "utf8"), {
    contentType,
    headers: { "cache-control": "no-cache", "x-content-type-options": "nosniff" }
  })

export const script = file("app.js", "text/javascript; charset=utf-8")
export const style = file("app.css", "text/css; charset=utf-8")
