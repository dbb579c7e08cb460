/** A request, and the expected response. */
export interface Request {
  readonly path: string
  readonly token?: string
  readonly status: number
  /** Sends a POST request. */
  readonly post?: { readonly headers: Readonly<Record<string, string>>; readonly body: string }
  /** Expected body. */
  readonly body?: string
  /** Text that the response must contain. */
  readonly contains?: string
  /** `true` if the response must have a `WWW-Authenticate` header. */
  readonly challenge?: boolean
}

export interface Prepared extends Request {
  readonly bytes: Buffer
}

export const prepare = (request: Request): Prepared => {
  const { path, post, token } = request
  const headers = {
    Host: "127.0.0.1",
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...(post === undefined ? {} : { ...post.headers, "Content-Length": String(Buffer.byteLength(post.body)) })
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const head = [`${post === undefined ? "GET" : "POST"} ${path} HTTP/1.1`, ...lines, "\r\n"].join("\r\n")
  return { ...request, bytes: Buffer.from(head + (post?.body ?? ""), "latin1") }
}
