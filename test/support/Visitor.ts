/** A browser without scripts: it follows redirects, keeps cookies, and sends the headers of a browser. */
import { request as httpRequest } from "node:http"

export interface Visit {
  readonly url: string
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  readonly text: string
  /** URLs of the requests, the first one first. */
  readonly chain: ReadonlyArray<string>
}

export interface VisitOptions {
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** `false` returns a redirect as it is. */
  readonly follows?: boolean
}

interface Answer {
  readonly status: number
  readonly headers: Visit["headers"]
  readonly cookies: ReadonlyArray<string>
  readonly text: string
}

const send = (url: string, method: string, headers: Readonly<Record<string, string>>, body: string | undefined) =>
  new Promise<Answer>((resolve, reject) => {
    const sent = httpRequest(url, { method, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (part: string) => (text += part))
      response.on("error", reject)
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          cookies: response.headers["set-cookie"] ?? [],
          text
        })
      )
    })
    sent.on("error", reject)
    sent.end(body)
  })

export class Visitor {
  /** By host, path and name: cookies ignore the port. */
  readonly jar = new Map<string, { readonly host: string; readonly path: string; readonly pair: string }>()
  /** All Set-Cookie headers so far. */
  readonly setCookies: Array<string> = []

  /** Opens a page in the tab. With a form, sends the form of a page of the same origin. */
  async open(address: string, { follows = true, form, headers = {} }: VisitOptions = {}): Promise<Visit> {
    const chain: Array<string> = []
    let url = address
    let body = form === undefined ? undefined : new URLSearchParams(form).toString()
    for (;;) {
      chain.push(url)
      const response = await send(
        url,
        body === undefined ? "GET" : "POST",
        {
          accept: "text/html",
          "sec-fetch-site": body === undefined ? "none" : "same-origin",
          "sec-fetch-mode": "navigate",
          "sec-fetch-dest": "document",
          ...(body !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
          ...this.#cookies(url),
          ...headers
        },
        body
      )
      for (const line of response.cookies) this.#store(new URL(url).hostname, line)
      const { location } = response.headers
      if (!follows || typeof location !== "string") {
        return { url, status: response.status, headers: response.headers, text: response.text, chain }
      }
      if (chain.length > 15) throw new Error(`The redirects do not end: ${chain.join(" ")}`)
      url = new URL(location, url).href
      body = undefined
    }
  }

  #cookies(address: string): { readonly cookie?: string } {
    const { hostname, pathname } = new URL(address)
    const pairs = Array.from(this.jar.values()).filter(
      ({ host, path }) =>
        host === hostname && (pathname === path || pathname.startsWith(path.endsWith("/") ? path : `${path}/`))
    )
    return pairs.length === 0 ? {} : { cookie: pairs.map(({ pair }) => pair).join("; ") }
  }

  #store(host: string, line: string) {
    this.setCookies.push(line)
    const [pair = "", ...attributes] = line.split("; ")
    const values = new Map(
      attributes.map((attribute) => {
        const [name = "", value = ""] = attribute.split("=")
        return [name.toLowerCase(), value] as const
      })
    )
    const path = values.get("path") ?? "/"
    const key = `${host} ${path} ${pair.slice(0, pair.indexOf("="))}`
    const ends = values.get("max-age") === "0" || Date.parse(values.get("expires") ?? "9999-01-01") <= Date.now()
    if (ends) this.jar.delete(key)
    else this.jar.set(key, { host, path, pair })
  }
}

/** Returns the hidden fields of the form in a page. */
export const hiddenFields = (html: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Array.from(html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g), ([, name = "", value = ""]) => [
      name,
      value
    ])
  )
