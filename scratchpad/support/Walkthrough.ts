/** The client of an example. It sends requests, and prints each as a command of curl, with the response. */
import { Console, Effect } from "effect"
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
  /** Body of a request in JSON. */
  readonly json?: unknown
  /** Body of a request as a form. */
  readonly form?: Readonly<Record<string, string>>
  /** Credentials of a client. */
  readonly basic?: { readonly clientId: string; readonly clientSecret: string }
}

const shown = ["www-authenticate", "retry-after"]

/** Prints a token as an assignment, whole if you can use it. Returns the token. */
export const token = (name: string, value: string): Effect.Effect<Token> =>
  Effect.as(Console.log(`\n${name}=${serves ? value : `${value.slice(0, 10)}…`}`), { name, value })

const commandOf = (method: string, url: string, { basic, form, json, token }: Options) =>
  [
    "curl -i",
    ...(method === ((json ?? form) ? "POST" : "GET") ? [] : [`-X ${method}`]),
    url,
    ...(basic === undefined ? [] : [`-u ${basic.clientId}:${basic.clientSecret}`]),
    ...(token === undefined ? [] : [`-H "Authorization: Bearer $${token.name}"`]),
    ...(json === undefined ? [] : [`-H "Content-Type: application/json" -d '${JSON.stringify(json)}'`]),
    ...Object.entries(form ?? {}).map(([name, value]) => `-d '${name}=${value.replaceAll(/ey[\w.-]{50,}/g, "…")}'`)
  ].join(" ")

/** Sends a request to a path of the API, or to a URL. Returns the body of the response. */
export const send = Effect.fnUntraced(function* (title: string, request: string, options: Options = {}) {
  const [method = "GET", path = "/"] = request.split(" ")
  const url = new URL(path, api).href
  const { basic, form, json, token } = options
  yield* Console.log(`\n# ${title}\n${commandOf(method, url, options)}`)
  const [response, body] = yield* Effect.promise(async () => {
    const response = await fetch(url, {
      method,
      redirect: "manual",
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token.value}` }),
        ...(basic === undefined ? {} : { authorization: `Basic ${btoa(`${basic.clientId}:${basic.clientSecret}`)}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" })
      },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
      ...(form === undefined ? {} : { body: new URLSearchParams(form) })
    })
    return [response, await response.text()] as const
  })
  yield* Console.log(`  HTTP/1.1 ${response.status} ${response.statusText}`)
  for (const name of shown) {
    const value = response.headers.get(name)
    if (value !== null) yield* Console.log(`  ${name}: ${value}`)
  }
  if (body !== "") yield* Console.log(`  ${body}`)
  return body
})

/** Ends the walk-through: with the program, or never if the example serves. */
export const end: Effect.Effect<void> = Effect.suspend(() =>
  serves ? Effect.andThen(Console.log("\nCtrl-C ends the program."), Effect.never) : Effect.void
)
