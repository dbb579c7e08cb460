/**
 * Accepts tokens that are bound to a certificate of the client (mutual TLS, RFC 8705), so that a stolen token is useless.
 *
 * **When to use**
 *
 * Use if your authorization server issues tokens with `cnf.x5t#S256`, for example in open banking.
 *
 * **Details**
 *
 * The client authenticates its TLS connection with a certificate, and sends the token as `Bearer`. Each request is
 * accepted only if the SHA-256 hash of the certificate is the one in the token. Everything else is `InvalidToken`:
 *
 * - The request has no certificate, or another one.
 * - The certificate is in a header of a client that is not a trusted proxy.
 * - The header appears twice, or has another format.
 * - The scheme has no `mutualTls`.
 *
 * A token that also has `cnf.jkt` needs a DPoP proof, too. The token cache works as for bearer tokens.
 *
 * @since 0.1.0
 */
import type { IpNetwork } from "effect/net/IpNetwork"
import * as Networks from "effect/net/IpNetwork"
import type { IpAddress } from "effect/net/NetAddress"
import { ownProperties } from "../core/lib/ownProperties.ts"
import * as sha256 from "./dpop/sha256.ts"
import { CertificateChecker, type Proxy } from "./mutualTls/checker.ts"
import { formats } from "./mutualTls/forwarded.ts"
import { register } from "./mutualTls/registered.ts"

/**
 * Format of the certificate in the header of a proxy.
 *
 * **Details**
 *
 * | format | value | usual header |
 * |---|---|---|
 * | `"rfc9440"` | `:MIIB…:`, the certificate in base64 | `Client-Cert` |
 * | `"envoy"` | one element with `Hash=` | `X-Forwarded-Client-Cert` |
 * | `"escapedPem"` | PEM with percent-encoding, such as `$ssl_client_escaped_cert` of nginx | none |
 *
 * @category models
 * @since 0.1.0
 */
export type Format = "rfc9440" | "envoy" | "escapedPem"

/**
 * Options for a proxy that ends the TLS connection, and sends the certificate of the client in a header.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProxyOptions {
  /**
   * The addresses of the proxies, as networks or as a predicate. The header counts only in requests of these addresses.
   * The address is that of the transport, also with `HttpMiddleware.xForwardedHeaders`.
   */
  readonly trustedProxies: ReadonlyArray<IpNetwork> | ((address: IpAddress) => boolean)
  /** The format of the header. @default "rfc9440" */
  readonly format?: Format
  /** The name of the header. Default: the usual header of the format. `"escapedPem"` has none. */
  readonly header?: string
}

/**
 * Options for the source of the certificate.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The proxy that ends the TLS connection. It must remove the header from requests of clients.
   *
   * Default: none, so the certificate is that of the TLS connection of Node, and headers do not count.
   */
  readonly proxy?: ProxyOptions
}

/**
 * Support for certificates, for the option `mutualTls` of a scheme.
 *
 * @category models
 * @since 0.1.0
 */
export interface MutualTls {
  /** Where the certificate of a request is: in the TLS connection, or in a header of a proxy. */
  readonly from: "connection" | "proxy"
}

const where = "MutualTls.make"

// RFC 9110 §5.6.2
const fieldName = /^[\w!#$%&'*+.^`|~-]+$/

const proxyOf = (given: ProxyOptions): Proxy => {
  const { format = "rfc9440", header, trustedProxies } = ownProperties(given)
  if (!Object.hasOwn(formats, format)) {
    throw new TypeError(`${where}: format must be one of ${Object.keys(formats).join(", ")}.`)
  }
  const { header: usual, read } = formats[format]
  const name: unknown = header ?? usual
  if (typeof name !== "string" || !fieldName.test(name)) {
    throw new TypeError(`${where}: header must be the name of the header in which the proxy sends the certificate.`)
  }
  return { format: read, header: name.toLowerCase(), isTrusted: trustOf(trustedProxies) }
}

const trustOf = (given: unknown): Proxy["isTrusted"] => {
  if (typeof given === "function") {
    // Only `true` counts: a function of a JavaScript program may return another value, such as a promise.
    return (address) => (given as (address: IpAddress) => unknown)(address) === true
  }
  const networks: ReadonlyArray<unknown> = Array.isArray(given) ? given : []
  if (networks.length > 0 && networks.every(Networks.isIpNetwork)) {
    const own = [...networks]
    return (address) => own.some((network) => Networks.contains(network, address))
  }
  throw new TypeError(
    `${where}: trustedProxies must be a list of at least one network, such as IpNetwork.fromStringUnsafe("10.0.0.0/8"), or a predicate of an address.`
  )
}

/**
 * Creates the support for tokens that are bound to a certificate.
 *
 * **Details**
 *
 * Throws a `TypeError` that names an invalid option. Without `proxy`, the server of Node needs `requestCert: true`. With
 * `rejectUnauthorized: false`, clients may have self-signed certificates: the binding does not need an authority.
 *
 * **Gotchas**
 *
 * A client that reaches the API without the proxy must not have an address in `trustedProxies`. It could send the
 * certificate of another client, which is public.
 *
 * **Example** (Reading the certificate of the TLS connection)
 *
 * ```ts
 * import { MutualTls, OAuth2 } from "effect-oauth2"
 *
 * export const auth = OAuth2.clientCredentials("Payments", {
 *   tokenUrl: "https://idp.example.com/token",
 *   scopes: { pay: "Make payments" },
 *   mutualTls: MutualTls.make(),
 *   senderConstrained: "required"
 * })
 * ```
 *
 * **Example** (Reading the header of nginx)
 *
 * ```ts
 * import { IpNetwork } from "effect/net"
 * import { MutualTls } from "effect-oauth2"
 *
 * export const mutualTls = MutualTls.make({
 *   proxy: {
 *     trustedProxies: [IpNetwork.fromStringUnsafe("10.0.0.0/8")],
 *     format: "escapedPem",
 *     header: "X-Client-Cert"
 *   }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): MutualTls => {
  const { proxy } = ownProperties(options)
  const value: MutualTls = Object.freeze({ from: proxy === undefined ? "connection" : "proxy" })
  return register(value, new CertificateChecker(proxy && proxyOf(proxy), sha256.make()))
}
