/** The client of an example. It sends requests, and prints each as a command of curl, with the response. */
import { Console, Effect, Schema } from "effect"
import { request as httpRequest } from "node:http"
import { api } from "./Addresses.ts"

/** If the variable `SERVE` is set, the example does not end after its walk-through. */
const serves = process.env["SERVE"] === "true"

/** A token in a variable of the shell. */
export interface Token {
  readonly name: string
  readonly value: string
}

export interface Options {
  readonly token?: Token
  /** Body in JSON. */
  readonly json?: unknown
  /** Body in the form of HTML forms. The value of a field can be a token. */
  readonly form?: Readonly<Record<string, string | Token>>
  /** Credentials of a client. */
  readonly basic?: { readonly clientId: string; readonly clientSecret: string }
}

/** Long tokens make a walk-through hard to read, so they are printed whole only if you can use them. */
const shorten = (token: string) => (serves || token.length < 20 ? token : `${token.slice(0, 10)}…`)

/** Prints a token as an assignment. Returns the token. */
export const token = (name: string, value: string): Effect.Effect<Token> =>
  Effect.as(Console.log(`\n${name}=${shorten(value)}`), { name, value })

/** Returns the access token in a response of a token endpoint (RFC 6749 §5.1). */
export const accessToken = (body: string): string =>
  Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ access_token: Schema.String })))(body).access_token

const commandOf = (method: string, url: string, { basic, form, json, token }: Options) =>
  [
    "curl -i",
    ...(method === ((json ?? form) ? "POST" : "GET") ? [] : [`-X ${method}`]),
    url,
    ...(basic === undefined ? [] : [`-u ${basic.clientId}:${basic.clientSecret}`]),
    ...(token === undefined ? [] : [`-H "Authorization: Bearer $${token.name}"`]),
    ...(json === undefined ? [] : [`-H "Content-Type: application/json" -d '${JSON.stringify(json)}'`]),
    ...Object.entries(form ?? {}).map(([name, value]) =>
      typeof value === "string" ? `-d '${name}=${value}'` : `-d "${name}=$${value.name}"`
    )
  ].join(" ")

const headersOf = ({ basic, form, json, token }: Options) => ({
  ...(token === undefined ? {} : { authorization: `Bearer ${token.value}` }),
  ...(basic === undefined ? {} : { authorization: `Basic ${btoa(`${basic.clientId}:${basic.clientSecret}`)}` }),
  ...(json === undefined ? {} : { "content-type": "application/json" }),
  ...(form === undefined ? {} : { "content-type": "application/x-www-form-urlencoded" })
})

const bodyOf = ({ form, json }: Options) => {
  if (json !== undefined) return JSON.stringify(json)
  const fields = Object.entries(form ?? {}).map(([name, value]) => [
    name,
    typeof value === "string" ? value : value.value
  ])
  return form === undefined ? undefined : new URLSearchParams(fields).toString()
}

interface Answer {
  readonly status: string
  /** Names and values by turns, as received. A response can have several headers with one name. */
  readonly headers: ReadonlyArray<string>
  readonly body: string
}

const exchange = (method: string, url: string, options: Options) =>
  Effect.callback<Answer>((resume) => {
    const fail = (error: Error) => resume(Effect.die(error))
    // Each request has its own connection, so that no connection is open when the program ends.
    const sent = httpRequest(url, { method, headers: headersOf(options), agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => (body += text))
      response.on("error", fail)
      response.on("end", () =>
        resume(
          Effect.succeed({
            status: `${response.statusCode} ${response.statusMessage}`,
            headers: response.rawHeaders,
            body
          })
        )
      )
    })
    sent.on("error", fail)
    sent.end(bodyOf(options))
  })

/** Sends a request to a path of the API, or to a URL. Returns the body of the response. */
export const send = Effect.fnUntraced(function* (title: string, request: string, options: Options = {}) {
  const [method = "GET", path = "/"] = request.split(" ")
  const url = new URL(path, api).href
  yield* Console.log(`\n# ${title}\n${commandOf(method, url, options)}`)
  const { body, headers, status } = yield* exchange(method, url, options)
  yield* Console.log(`  HTTP/1.1 ${status}`)
  for (const [i, name] of headers.entries()) {
    if (i % 2 === 0 && /^(?:www-authenticate|retry-after)$/i.test(name)) {
      yield* Console.log(`  ${name.toLowerCase()}: ${headers[i + 1]}`)
    }
  }
  if (body !== "") yield* Console.log(`  ${body.replace(/(?<="access_token":")[^"]*/, shorten)}`)
  return body
})

/** Ends the walk-through: with the program, or never if the example serves. */
export const end: Effect.Effect<void> = Effect.suspend(() =>
  serves ? Effect.andThen(Console.log("\nCtrl-C ends the program."), Effect.never) : Effect.void
)
