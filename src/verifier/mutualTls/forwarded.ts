/** Reads the certificate in the header of a proxy that ended the TLS connection. */
import * as base64url from "jose/base64url"

/** A certificate in DER, or its SHA-256 thumbprint in base64url. */
export type Forwarded = { readonly der: Uint8Array<ArrayBuffer> } | { readonly thumbprint: string }

/** Returns `undefined` if the value does not have the format. */
export type Format = (value: string) => Forwarded | undefined

/** Longer values are refused. Node accepts 16 KiB for all headers. */
const maxLength = 16_384

const base64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^[A-Za-z0-9+/]{2}(?:==|[A-Za-z0-9+/]=)$/

/** Decodes padded base64. The tag of a SEQUENCE is the first byte of each certificate. */
const derOf = (text: string): Forwarded | undefined => {
  if (!base64.test(text)) return
  const der = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  return der[0] === 0x30 ? { der } : undefined
}

/** One byte sequence between colons, and no list (RFC 9440 §2.2, RFC 8941 §3.3.5). */
const rfc9440: Format = (value) => {
  const [, text] = /^:([^:]+):$/.exec(value) ?? []
  return text === undefined ? undefined : derOf(text)
}

const pem = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)\r?\n-----END CERTIFICATE-----\s*$/

/** One certificate in PEM, with percent-encoding (`$ssl_client_escaped_cert` of nginx). */
const escapedPem: Format = (value) => {
  if (!/^[\w.~!*'()+/=-]*(?:%[0-9A-Fa-f]{2}[\w.~!*'()+/=-]*)*$/.test(value)) return
  let text: string
  try {
    text = decodeURIComponent(value)
  } catch {
    return
  }
  const [, lines] = pem.exec(text) ?? []
  return lines === undefined ? undefined : derOf(lines.replaceAll(/[\r\n]/g, ""))
}

/**
 * A pair of Envoy's element. The text in quotes may contain any character, because the client chooses the subject of its
 * certificate.
 */
const pair = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))(;|$)/y

/**
 * One element of `X-Forwarded-Client-Cert`. A second element, or a second `Hash`, is refused: with `APPEND_FORWARD`, the
 * client could write the first element itself.
 */
const envoy: Format = (value) => {
  const hashes: Array<string> = []
  let at = 0
  while (at < value.length) {
    pair.lastIndex = at
    const [whole, name, quoted, plain = quoted, end] = pair.exec(value) ?? []
    if (whole === undefined || plain === undefined) return
    if (name?.toLowerCase() === "hash") hashes.push(plain)
    at += whole.length
    if (end === ";" && at === value.length) return
  }
  const [hash = "", ...others] = hashes
  if (others.length > 0 || !/^[0-9A-Fa-f]{64}$/.test(hash)) return
  const bytes = Uint8Array.from(hash.match(/../g) ?? [], (hex) => Number.parseInt(hex, 16))
  return { thumbprint: base64url.encode(bytes) }
}

const bounded =
  (format: Format): Format =>
  (value) =>
    value.length > maxLength ? undefined : format(value)

/** The formats, each with the usual name of its header. */
export const formats = {
  rfc9440: { read: bounded(rfc9440), header: "client-cert" },
  envoy: { read: bounded(envoy), header: "x-forwarded-client-cert" },
  escapedPem: { read: bounded(escapedPem), header: undefined }
} as const
