/** Reads the TLS connection of a request on Node, without imports from Node. */
import { hasOwnOrOfClass } from "../../core/lib/ownProperties.ts"

/**
 * Returns the socket of a Node request. HTTP/2 requests return a proxy of the socket, which throws after the end of the
 * connection.
 */
const socketOf = (source: object): object | undefined => {
  const socket: unknown = hasOwnOrOfClass(source, "socket") ? (source as { socket: unknown }).socket : undefined
  return typeof socket === "object" && socket !== null ? socket : undefined
}

const attempt = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return
  }
}

/**
 * Returns the client's certificate in DER. The handshake has proven that the client holds the key, also for a
 * self-signed certificate, and also in a resumed session.
 */
export const certificateOf = (source: object): Uint8Array<ArrayBuffer> | undefined =>
  attempt(() => {
    const socket = socketOf(source)
    if (socket === undefined || !hasOwnOrOfClass(socket, "getPeerX509Certificate")) return
    const certificate = (
      socket as { getPeerX509Certificate: () => { readonly raw?: unknown } | undefined }
    ).getPeerX509Certificate()
    const raw = certificate?.raw
    // Safe cast: Node allocates the bytes of a certificate in an `ArrayBuffer`.
    return raw instanceof Uint8Array && raw.length > 0 ? (raw as Uint8Array<ArrayBuffer>) : undefined
  })

/** Returns the address of the peer. Middleware for forwarded headers does not change it. */
export const addressOf = (source: object): string | undefined =>
  attempt(() => {
    const socket = socketOf(source)
    const address =
      socket !== undefined && hasOwnOrOfClass(socket, "remoteAddress")
        ? (socket as { readonly remoteAddress: unknown }).remoteAddress
        : undefined
    return typeof address === "string" ? address : undefined
  })
