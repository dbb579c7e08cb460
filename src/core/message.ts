/**
 * Represents a message of a connection as a request, so that a guard decides about the credential of the message. A
 * connection is a WebSocket, or an HTTP request with several messages.
 */
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as authorizationHeader from "./authorizationHeader.ts"

type Request = HttpServerRequest.HttpServerRequest

// A subclass defines its private fields on the target itself.
const ReturnOverride = function (target: object) {
  return target
} as unknown as new (target: object) => object

/**
 * Marks a request as a message, in a private field of the request. No other code can set the field. The request that
 * `modify` returns does not have it.
 */
class Message extends ReturnOverride {
  readonly #connection: Request | undefined
  readonly #token: string | undefined

  constructor(request: Request, connection: Request | undefined, token: string | undefined) {
    super(request)
    this.#connection = connection
    this.#token = token
  }

  static of(request: Request, connection: Request | undefined, token?: string): Request {
    // Safe cast: the constructor returns the request.
    return new Message(request, connection, token) as unknown as Request
  }

  static is(request: Request): boolean {
    return #connection in request
  }

  static connectionOf(request: Request): Request | undefined {
    return #connection in request ? request.#connection : undefined
  }

  static tokenOf(request: Request): string | undefined {
    return #token in request ? request.#token : undefined
  }
}

/** Returns `true` if a request represents a message. */
export const isMessage = (request: Request): boolean => Message.is(request)

/** Returns the request of the connection that carried a message: the upgrade of a WebSocket, or an HTTP request. */
export const connectionOf = (request: Request): Request | undefined => Message.connectionOf(request)

/** Returns the token of a message that `ofToken` created. */
export const tokenOf = (request: Request): string | undefined => Message.tokenOf(request)

const withoutBody = Effect.suspend(() =>
  Effect.die(new Error("A message without HTTP has no body. Read the payload of the message instead of the request."))
)

/**
 * Creates the request of a message that no HTTP request has carried. `HttpServerRequest.fromWeb` would add 5 kB of
 * Effect to the bundle of a typed client.
 */
const withoutHttp = (headers: Headers.Headers): Request => {
  const request: Omit<Request, "toString" | "toJSON" | symbol> = {
    [HttpServerRequest.TypeId]: HttpServerRequest.TypeId,
    [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId,
    source: {},
    url: "/",
    originalUrl: "/",
    method: "POST",
    cookies: {},
    headers,
    remoteAddress: Option.none(),
    peerAddress: Option.none(),
    protocol: undefined,
    json: withoutBody,
    text: withoutBody,
    urlParamsBody: withoutBody,
    arrayBuffer: withoutBody,
    get stream() {
      return Stream.fromEffect(withoutBody)
    },
    multipart: withoutBody,
    get multipartStream() {
      return Stream.fromEffect(withoutBody)
    },
    upgrade: withoutBody,
    upgradeWith: () => withoutBody,
    modify: (options) => Object.assign(withoutHttp(options.headers ?? headers), options)
  }
  // Safe cast: only the methods that print the request are missing, and every object has them.
  return request as Request
}

const carrierOf = (connection: Request | undefined): Request => connection ?? withoutHttp(Headers.empty)

/**
 * Creates the request that represents a message: the request of the connection with the credentials of the message.
 *
 * `credentials` lists the names of the headers that a message may set. All other headers are those of the connection,
 * because a message could lie about headers that a browser or a proxy sets, such as `sec-fetch-site`. A value that is
 * not a string counts as an absent header.
 */
export const make = (
  connection: Request | undefined,
  headers: Headers.Headers,
  credentials: Iterable<string>
): Request => {
  const carrier = carrierOf(connection)
  let own = carrier.headers
  for (const name of credentials) {
    const value: unknown = Object.hasOwn(headers, name) ? headers[name] : undefined
    own = typeof value === "string" ? Headers.set(own, name, value) : Headers.remove(own, name)
  }
  return Message.of(carrier.modify({ headers: own }), connection)
}

/** Creates the request that represents a message with a token. The token is the credential for every scheme. */
export const ofToken = (connection: Request | undefined, token: string): Request => {
  const carrier = carrierOf(connection)
  const request = carrier.modify({
    headers: authorizationHeader.isToken(token)
      ? Headers.set(carrier.headers, "authorization", `Bearer ${token}`)
      : Headers.remove(carrier.headers, "authorization")
  })
  return Message.of(request, connection, token)
}
