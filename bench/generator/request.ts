/** What is sent, and what must come back. */
export interface Request {
  readonly path: string
  readonly token?: string
  readonly status: number
  /** The whole body, where it must be a certain one. */
  readonly body?: string
  /** Whether a `WWW-Authenticate` field must be there. */
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
