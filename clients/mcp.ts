/**
 * Calls an MCP server with the client of the official TypeScript SDK, as a user with a browser does.
 * `npm ci --prefix clients` installs the SDK, and so does `.ci/run`.
 *
 * The SDK is loaded late and without its types, so that `npm run check:types` succeeds without it.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const folder = join(import.meta.dirname, "node_modules", "@modelcontextprotocol", "sdk")

/** Clients that are not installed. Outside of CI, the tests leave them out and say so. */
export const missing = (): ReadonlyArray<string> => {
  if (existsSync(join(folder, "package.json"))) return []
  if (process.env["CI"] !== "true") return ["@modelcontextprotocol/sdk"]
  throw new Error("@modelcontextprotocol/sdk is missing. Run npm ci --prefix clients.")
}

interface Transport {
  readonly finishAuth: (code: string) => Promise<void>
  readonly sessionId?: string
}

interface Client {
  readonly connect: (transport: Transport) => Promise<void>
  readonly listTools: () => Promise<{ readonly tools: ReadonlyArray<{ readonly name: string }> }>
  readonly callTool: (call: {
    readonly name: string
    readonly arguments: Readonly<Record<string, unknown>>
  }) => Promise<{ readonly content: ReadonlyArray<{ readonly text?: string }> }>
  readonly close: () => Promise<void>
}

const load = async (file: string): Promise<Readonly<Record<string, unknown>>> =>
  import(pathToFileURL(join(folder, "dist", "esm", file)).href) as Promise<Readonly<Record<string, unknown>>>

export interface Options {
  /** URL of the MCP server. The client knows nothing else of the server. */
  readonly url: string
  /** Client at the authorization server. */
  readonly clientId: string
  readonly redirectUri: string
  /** Name on the sign-in page. */
  readonly login: string
  /** Receives each HTTP exchange with the MCP server and the authorization server. */
  readonly onResponse?: (exchange: Exchange) => void
}

export interface Exchange {
  readonly method: string
  readonly url: URL
  readonly status: number
  readonly challenge: string | null
}

export interface Session {
  readonly tools: () => Promise<ReadonlyArray<string>>
  /** Calls a tool, and returns the text of its result. Signs in again if the server requires more scopes. */
  readonly call: (name: string, args?: Readonly<Record<string, unknown>>) => Promise<string>
  /** Scopes that the client has requested, one text for each sign-in. */
  readonly requested: ReadonlyArray<string>
  readonly close: () => Promise<void>
}

/** Follows redirects with cookies, as a browser does. Returns the page, or the URL of the client. */
const browser = (redirectUri: string) => {
  const cookies = new Map<string, string>()
  return async (first: URL, form?: Readonly<Record<string, string>>): Promise<URL | { readonly page: URL }> => {
    let url = first
    let init: RequestInit = form === undefined ? {} : { method: "POST", body: new URLSearchParams(form) }
    while (!url.href.startsWith(redirectUri)) {
      const cookie = Array.from(cookies, ([name, value]) => `${name}=${value}`).join("; ")
      const response = await fetch(url, { ...init, redirect: "manual", headers: { cookie } })
      await response.body?.cancel()
      for (const [, name = "", value = ""] of response.headers
        .getSetCookie()
        .flatMap((field) => [/^([^=]+)=([^;]*)/.exec(field) ?? []])) {
        cookies.set(name, value)
      }
      const location = response.headers.get("location")
      if (location === null) return { page: url }
      url = new URL(location, url)
      init = {}
    }
    return url
  }
}

/** Connects to a server, and signs in if the server requires a token. */
export const connect = async (options: Options): Promise<Session> => {
  const [{ Client }, { StreamableHTTPClientTransport }, { UnauthorizedError }] = (await Promise.all([
    load("client/index.js"),
    load("client/streamableHttp.js"),
    load("client/auth.js")
  ])) as unknown as [
    { readonly Client: new (info: object) => Client },
    { readonly StreamableHTTPClientTransport: new (url: URL, options: object) => Transport },
    { readonly UnauthorizedError: abstract new () => Error }
  ]
  const requested: Array<string> = []
  const visit = browser(options.redirectUri)
  let authorization: URL | undefined
  let tokens: unknown
  let verifier = ""
  const authProvider = {
    redirectUrl: options.redirectUri,
    clientMetadata: { client_name: "MCP client", redirect_uris: [options.redirectUri] },
    clientInformation: () => ({ client_id: options.clientId }),
    tokens: () => tokens,
    saveTokens: (given: unknown) => {
      tokens = given
    },
    codeVerifier: () => verifier,
    saveCodeVerifier: (given: string) => {
      verifier = given
    },
    redirectToAuthorization: (url: URL) => {
      authorization = url
      requested.push(url.searchParams.get("scope") ?? "")
    }
  }
  const observedFetch = async (input: string | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    options.onResponse?.({
      method: init?.method ?? "GET",
      url: new URL(input),
      status: response.status,
      challenge: response.headers.get("www-authenticate")
    })
    return response
  }
  const transportOf = () =>
    new StreamableHTTPClientTransport(new URL(options.url), { authProvider, fetch: observedFetch })

  /** Opens the URL that the SDK wants the user to open, and signs in on the page. */
  const signIn = async (): Promise<string> => {
    if (authorization === undefined) throw new Error("The client asked for no authorization.")
    const reached = await visit(authorization)
    const back = reached instanceof URL ? reached : await visit(reached.page, { login: options.login })
    const code = back instanceof URL ? back.searchParams.get("code") : null
    if (code === null) throw new Error("The authorization server returned no code.")
    return code
  }

  const client = new Client({ name: "effect-oauth2-clients", version: "1.0.0" })
  let transport = transportOf()
  try {
    await client.connect(transport)
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error
    await transport.finishAuth(await signIn())
    transport = transportOf()
    await client.connect(transport)
  }
  const call = async (name: string, args: Readonly<Record<string, unknown>>) => {
    const { content } = await client.callTool({ name, arguments: args })
    return content[0]?.text ?? ""
  }
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}) => {
      try {
        return await call(name, args)
      } catch (error) {
        if (!(error instanceof UnauthorizedError)) throw error
        await transport.finishAuth(await signIn())
        return call(name, args)
      }
    },
    requested,
    close: () => client.close()
  }
}
