/** Describes why a request to the authorization server failed. A failure contains nothing secret. */
import { isReadonlyObject } from "effect/Predicate"
import type { AuthorizationServerUnavailable } from "../../core/SecurityError.ts"

/** A store of the fleet takes no part in requests to the authorization server. */
export type Unavailable = Exclude<AuthorizationServerUnavailable["reason"], "StoreUnavailable">

/** The document that the library requested. */
export type Document = "metadata" | "key set" | "introspection response"

interface Details {
  /** Status of a response that was not 200. */
  readonly status?: number | undefined
  /** The unparsed `Retry-After` header. */
  readonly retryAfter?: string | undefined
  /** Target of a redirect that was not followed, without its query. */
  readonly location?: string | undefined
  /** Code of the error that the client reported, such as `ECONNREFUSED`. */
  readonly code?: string | undefined
  /** The fault of the response, as the end of a sentence. */
  readonly detail?: string | undefined
}

/** Every member is its own, because a program may have changed `Object.prototype`. */
export class Failure {
  readonly reason: Unavailable
  readonly status: number | undefined
  readonly retryAfter: string | undefined
  readonly location: string | undefined
  readonly code: string | undefined
  readonly detail: string | undefined
  readonly document: Document | undefined
  /** Requested URL without its query, which may contain a key. */
  readonly url: string | undefined

  constructor(
    reason: Unavailable,
    details: Details = {},
    from?: { readonly document: Document; readonly url: string }
  ) {
    const { code, detail, location, retryAfter, status } = { ...nothing, ...details }
    this.reason = reason
    this.status = status
    this.retryAfter = retryAfter
    this.location = location
    this.code = code
    this.detail = detail
    this.document = from?.document
    this.url = from?.url
  }

  /** Adds the name and the URL of the requested document, unless the failure has them. */
  of(document: Document, url: URL): Failure {
    return this.document === undefined
      ? new Failure(this.reason, this, { document, url: url.origin + url.pathname })
      : this
  }

  /** Says in one sentence what happened, without its period. */
  get text(): string {
    const { code, detail, document, location, reason, status, url } = this
    const what = document === undefined ? "The request" : `The request for the ${document} at ${url ?? "(unknown)"}`
    if (status !== undefined) {
      const target = location === undefined ? "" : `, a redirect to ${location} that is not followed`
      return `${what} got status ${status}${target}`
    }
    const because = detail ?? code
    switch (reason) {
      case "Timeout":
        return `${what} got no response in time`
      case "Unreachable":
        return `${what} got no response${because === undefined ? "" : ` (${because})`}`
      case "IssuerMismatch":
        return `${what} got a document that cannot be used`
      default:
        return `${what} got a response that is not valid${because === undefined ? "" : `: ${because}`}`
    }
  }

  /** Annotations for the log. */
  get annotations(): Readonly<Record<string, unknown>> {
    const { code, document, location, reason, retryAfter, status, url } = this
    const all = { reason, document, url, status, location, code, retryAfter: shown(retryAfter) }
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  }
}

const nothing: Details = {
  status: undefined,
  code: undefined,
  detail: undefined,
  location: undefined,
  retryAfter: undefined
}

/** A server must not inject text into the log: only short, visible ASCII is shown. */
const shown = (text: string | undefined): string | undefined =>
  text === undefined || /^[\x20-\x7e]{1,200}$/.test(text) ? text : "(not shown)"

/** Returns the target of a redirect without its query, which may contain a state or a session. */
export const locationOf = (header: string | undefined, from: URL | undefined): string | undefined => {
  if (header === undefined) return
  const target = URL.parse(header, from?.href)
  return target === null
    ? "(not a URL)"
    : shown(target.origin === "null" ? target.protocol : target.origin + target.pathname)
}

/** Errors of `fetch` contain the error of the socket as their cause, at this depth at most. */
const maxDepth = 6

/** Finds the code of an error in its causes, such as `ENOTFOUND` or `DEPTH_ZERO_SELF_SIGNED_CERT`. */
export const codeOf = (error: unknown, depth = 0): string | undefined => {
  if (!isReadonlyObject(error) || depth > maxDepth) return
  const member = (name: string): unknown => (Object.hasOwn(error, name) ? error[name] : undefined)
  const code = member("code")
  if (typeof code === "string" && /^[A-Za-z][A-Za-z0-9_]{1,63}$/.test(code)) return code
  const errors = member("errors")
  return (
    codeOf(member("cause"), depth + 1) ??
    codeOf(member("reason"), depth + 1) ??
    (Array.isArray(errors) ? codeOf(errors[0], depth + 1) : undefined)
  )
}

/** Codes of a connection that the server closed while it was kept alive, in Node, undici, Bun and Deno. */
const lostConnection: ReadonlySet<string> = new Set([
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "UND_ERR_SOCKET",
  "ConnectionClosed",
  "ConnectionReset"
])

export const isLostConnection = ({ code }: Failure): boolean => code !== undefined && lostConnection.has(code)
