/** HTML of the documentation page and of the redirect page. */

/** Escapes text for HTML text and for quoted attributes. */
export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

// Without these escapes, a string such as "</script>" would end the script element. JSON.parse undoes them.
const escapeJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  )

const page = (title: string, head: string, body: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>${head}
</head>
<body>
${body}
</body>
</html>
`

/** A file of the page, and its hash (Subresource Integrity) if another server has the file. */
export interface Reference {
  readonly url: string
  readonly integrity: string | undefined
}

const attributes = (name: string, { integrity, url }: Reference): string =>
  `${name}="${escape(url)}"` +
  (integrity === undefined ? "" : ` integrity="${escape(integrity)}" crossorigin="anonymous"`)

/** The documentation page. The configuration is data, because the Content-Security-Policy forbids inline scripts. */
export const documentation = (options: {
  readonly title: string
  readonly stylesheet: Reference
  readonly favicon: string
  readonly scripts: ReadonlyArray<Reference>
  readonly configuration: unknown
}): string =>
  page(
    options.title,
    `
<link rel="stylesheet" ${attributes("href", options.stylesheet)}>
<link rel="icon" href="${escape(options.favicon)}">`,
    `<div id="swagger-ui"></div>
<noscript>This page needs JavaScript.</noscript>
<script id="swagger-ui-configuration" type="application/json">${escapeJson(options.configuration)}</script>
${options.scripts.map((script) => `<script ${attributes("src", script)}></script>`).join("\n")}`
  )

/** The page to which the authorization server redirects the browser. */
export const redirect = (script: string): string =>
  page(
    "Authorization",
    "",
    `<p id="message" role="alert"></p>
<noscript>This page needs JavaScript.</noscript>
<script src="${escape(script)}"></script>`
  )
