/** A request, and the expected response. */
export interface Request {
  readonly path: string
  readonly token?: string
  readonly status: number
  /** Expected body. */
  readonly body?: string
  /** `true` if the response must have a `WWW-Authenticate` header. */
  readonly challenge?: boolean
}

export interface Prepared extends Request {
  readonly bytes: Buffer
}

export const prepare = (request: Request): Prepared => ({
  ...request,
  bytes: Buffer.from(
    [
      `GET ${request.path} HTTP/1.1`,
      "Host: 127.0.0.1",
      ...(request.token === undefined ? [] : [`Authorization: Bearer ${request.token}`]),
      "\r\n"
    ].join("\r\n"),
    "latin1"
  )
})
