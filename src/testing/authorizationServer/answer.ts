/** The answers of the protocol endpoints, and their errors (RFC 6749 §4.1.2.1 and §5.2). */
import * as Effect from "effect/Effect"

/** Answer of a protocol endpoint, which `respond` can change before it is sent. */
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Value for JSON, or text that is sent unchanged. */
  readonly body: unknown
}

/** Error that the token endpoint and its relatives send to a client. */
export interface Refusal {
  readonly error: string
  readonly description: string
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
}

export const refuse = (error: string, description: string, more?: Pick<Refusal, "status" | "headers">) =>
  Effect.fail<Refusal>({ error, description, ...more })

// A token response must not be stored (RFC 6749 §5.1).
export const noStore = { "cache-control": "no-store" }

export const refused = ({ description, error, headers, status }: Refusal): Answer => ({
  status: status ?? 400,
  headers: { ...noStore, ...headers },
  body: { error, error_description: description }
})

/** Redirects with parameters in the query (RFC 6749 §4.1.2). A parameter without a value is left out. */
export const redirect = (uri: string, parameters: Readonly<Record<string, string | undefined>>): Answer => ({
  status: 303,
  headers: { location: withQuery(uri, parameters), "cache-control": "no-store" },
  body: ""
})

export const withQuery = (uri: string, parameters: Readonly<Record<string, string | undefined>>): string => {
  const url = new URL(uri)
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  return url.href
}

/** Sends the parameters with a form that submits itself (OAuth 2.0 Form Post Response Mode). */
export const formPost = (uri: string, parameters: Readonly<Record<string, string | undefined>>): Answer => {
  const fields = Object.entries(parameters).map(([name, value]) =>
    value === undefined ? "" : `<input type="hidden" name="${escape(name)}" value="${escape(value)}">`
  )
  const form = `<form method="post" action="${escape(uri)}">${fields.join("")}</form>`
  return {
    headers: { "content-type": "text/html", "cache-control": "no-store" },
    body: `<!doctype html><body onload="document.forms[0].submit()">${form}`
  }
}

/** Loads each address in a frame, and then continues (OpenID Connect Front-Channel Logout 1.0 §3). */
export const frames = (uris: ReadonlyArray<string>, next: string | undefined): Answer => {
  const all = uris.map((uri) => `<iframe src="${escape(uri)}"></iframe>`).join("")
  const target = next === undefined ? "" : ` onload="location.replace(this.dataset.next)" data-next="${escape(next)}"`
  return {
    headers: { "content-type": "text/html", "cache-control": "no-store" },
    body: `<!doctype html><body${target}>${all}`
  }
}

const escape = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => `&#${character.codePointAt(0)?.toString() ?? ""};`)
