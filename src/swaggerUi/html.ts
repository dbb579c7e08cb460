/** What is safe inside text and quoted attributes. */
export const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** What is safe inside a script element, and parses to the same. */
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

/** The documentation page. Its one script of its own reads the configuration, which is data and not code. */
export const documentation = (options: {
  readonly title: string
  readonly stylesheet: string
  readonly favicon: string
  readonly scripts: ReadonlyArray<string>
  readonly configuration: unknown
}): string =>
  page(
    options.title,
    `
<link rel="stylesheet" href="${escape(options.stylesheet)}">
<link rel="icon" href="${escape(options.favicon)}">`,
    `<div id="swagger-ui"></div>
<noscript>This page needs JavaScript.</noscript>
<script id="swagger-ui-configuration" type="application/json">${escapeJson(options.configuration)}</script>
${options.scripts.map((script) => `<script src="${escape(script)}"></script>`).join("\n")}`
  )

/** The page that the authorization server sends the browser back to. */
export const redirect = (script: string): string =>
  page(
    "Authorization",
    "",
    `<p id="message" role="alert"></p>
<noscript>This page needs JavaScript.</noscript>
<script src="${escape(script)}"></script>`
  )
