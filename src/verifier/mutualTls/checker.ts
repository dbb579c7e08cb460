/** Verifies that the client of a request holds the certificate of its token (RFC 8705 §3). */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { constant, failWith } from "../../core/constantErrors.ts"
import { countFields, fieldOf } from "../../core/effect/receivedRequest.ts"
import { InvalidToken } from "../../core/SecurityError.ts"
import type { Sha256 } from "../dpop/sha256.ts"
import { give, isGiven } from "../report/advice.ts"
import * as connection from "./connection.ts"
import type { Format, Forwarded } from "./forwarded.ts"

/** Validated options of a proxy that ends the TLS connection. */
export interface Proxy {
  /** The name of the header in lower case. */
  readonly header: string
  readonly format: Format
  readonly isTrusted: (address: NetAddress.IpAddress) => boolean
}

const wrongCertificate = constant(new InvalidToken({ reason: "Claim", claim: "cnf" }))

export class CertificateChecker {
  readonly #proxy: Proxy | undefined
  readonly #sha256: Sha256

  /** Without a proxy, the certificate is that of the TLS connection. */
  constructor(proxy: Proxy | undefined, sha256: Sha256) {
    this.#proxy = proxy
    this.#sha256 = sha256
  }

  /** Succeeds if the client has the certificate with the thumbprint. */
  check(request: HttpServerRequest, thumbprint: string): Effect.Effect<void, InvalidToken> {
    const found = this.#proxy === undefined ? ofConnection(request) : this.#ofProxy(request, this.#proxy)
    if (found === undefined) return this.#refuse(request)
    const actual = "der" in found ? this.#sha256(found.der) : Effect.succeed(found.thumbprint)
    return Effect.flatMapEager(actual, (actual) => (actual === thumbprint ? Effect.void : failWith(wrongCertificate)))
  }

  #ofProxy(request: HttpServerRequest, { format, header }: Proxy): Forwarded | undefined {
    if (!this.#isFromProxy(request)) return
    const field = fieldOf(request, header)
    // The formats contain no list, so several fields that Node has joined are refused, too.
    return field === undefined || countFields(request.source, header) > 1 ? undefined : format(field)
  }

  #isFromProxy(request: HttpServerRequest): boolean {
    const address = peerOf(request)
    return address !== undefined && this.#proxy?.isTrusted(address) === true
  }

  /** Refuses a request without a certificate, and explains the usual cause to the operator once. */
  #refuse(request: HttpServerRequest): Effect.Effect<never, InvalidToken> {
    const refused = failWith(wrongCertificate)
    if (this.#proxy === undefined) {
      return isGiven(this, "none") ? refused : Effect.andThen(give(adviceOnConnection, this, "none"), refused)
    }
    const [advice, kind] = this.#isFromProxy(request) ? [adviceOnHeader, "header"] : [adviceOnProxy, "proxy"]
    return isGiven(this, kind) ? refused : Effect.andThen(give(advice, this, kind), refused)
  }
}

const ofConnection = ({ source }: HttpServerRequest): Forwarded | undefined => {
  const der = connection.certificateOf(source)
  return der && { der }
}

/** Returns the address of the transport. Middleware for forwarded headers does not change it. */
const peerOf = (request: HttpServerRequest): NetAddress.IpAddress | undefined => {
  const text = connection.addressOf(request.source) ?? Option.getOrUndefined(request.peerAddress)
  const address = text === undefined ? undefined : NetAddress.ipFromString(text)
  return address !== undefined && Result.isSuccess(address) ? NetAddress.toCanonical(address.success) : undefined
}

// Only a client with a valid token causes these messages. They contain no part of the request.
const adviceOnConnection =
  "A token that is bound to a certificate was refused, because the request has no client certificate. Serve HTTPS with requestCert, or set the proxy option of MutualTls.make if a proxy ends the TLS connection."
const adviceOnProxy =
  "A token that is bound to a certificate was refused, because the request does not come from a trusted proxy. Add the address of the proxy to trustedProxies of MutualTls.make."
const adviceOnHeader =
  "A token that is bound to a certificate was refused, because the trusted proxy sent no valid certificate. Compare the header and the format of MutualTls.make with the configuration of the proxy."
