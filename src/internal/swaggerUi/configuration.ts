/** Checks the options of the page, and makes what Swagger UI is configured with. */
import * as Effect from "effect/Effect"
import { ConfigurationError } from "../../SecurityError.ts"
import type { InitOAuth, Options } from "../../SwaggerUi.ts"
import { ownProperties } from "../ownProperties.ts"
import { origin, scopes } from "./document.ts"

/** FastAPI's. */
const defaults = { layout: "BaseLayout", deepLinking: true, showExtensions: true, showCommonExtensions: true }

/** Parameters of Swagger UI that the layer sets itself, or that have an option of their own. */
const reserved: Readonly<Record<string, string>> = {
  url: "give the option url",
  urls: "give the option url",
  spec: "give the document to SwaggerUi.layer",
  configUrl: "give the parameters here",
  dom_id: "the page has one element for it",
  domNode: "the page has one element for it",
  presets: "they are code, and parameters are JSON",
  plugins: "they are code, and parameters are JSON",
  initOAuth: "give the option initOAuth",
  oauth2RedirectUrl: "give the option oauth2RedirectPath"
}

const isSecret = (name: string): boolean => name.replace(/[^a-z]/gi, "").toLowerCase() === "clientsecret"

/** Names with a secret, at any depth: in options that types were cast away from, and in parameters, which are any JSON. */
const secrets = (setting: string, value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) =>
        isSecret(name) ? [`${setting}.${name}`] : secrets(`${setting}.${name}`, inner)
      )
    : []

export const refuse = (setting: string, message: string) =>
  Effect.fail(new ConfigurationError({ setting, message: `${setting}: ${message}` }))

/** Refuses what must not or cannot be in the page. */
export const check = Effect.fnUntraced(function* (options: Options, document: object) {
  const [secret] = [...secrets("initOAuth", options.initOAuth), ...secrets("parameters", options.parameters)]
  if (secret !== undefined) {
    return yield* refuse(
      secret,
      "everybody who opens the page can read it, so it is no secret. Register a public client, which proves itself with PKCE; " +
        "only a secret that protects nothing belongs into initOAuth.unsafeClientSecret"
    )
  }
  for (const name of Object.keys(options.parameters ?? {})) {
    const instead = Object.hasOwn(reserved, name) ? reserved[name] : undefined
    if (instead !== undefined) return yield* refuse(`parameters.${name}`, `is set by SwaggerUi: ${instead}`)
  }
  if (options.openApiPath === false && options.url === undefined) {
    return yield* refuse("url", "with openApiPath: false, say where the page finds the document")
  }
  const declared = scopes(document)
  const unknown = ownProperties<Partial<InitOAuth>>(options.initOAuth ?? {}).scopes?.find(
    (scope) => declared?.includes(scope) === false
  )
  if (unknown !== undefined) {
    return yield* refuse(
      "initOAuth.scopes",
      `${JSON.stringify(unknown)} is no scope of the document's schemes (${declared?.join(", ")}): Swagger UI would not ask for it`
    )
  }
  for (const source of options.connectSources ?? []) {
    if (origin(source) !== source) {
      return yield* refuse("connectSources", `must be origins such as https://api.example.com, not ${source}`)
    }
  }
})

/** What Swagger UI's `initOAuth` is called with. It is called even where nothing is given: PKCE does not wait for a client id. */
export const initOAuth = (given: InitOAuth | undefined) => {
  const { unsafeClientSecret, usePkce, ...rest } = ownProperties<Partial<InitOAuth>>(given ?? {})
  return {
    ...rest,
    ...(unsafeClientSecret === undefined ? undefined : { clientSecret: unsafeClientSecret }),
    usePkceWithAuthorizationCodeGrant: usePkce ?? true
  }
}

/** Swagger UI's parameters, but for URLs. */
export const parameters = ({ deepLinking, parameters, persistAuthorization }: Options) => ({
  ...defaults,
  ...parameters,
  ...(deepLinking === undefined ? undefined : { deepLinking }),
  ...(persistAuthorization === undefined ? undefined : { persistAuthorization })
})
