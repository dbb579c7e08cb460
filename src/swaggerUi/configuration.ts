/** Validates the options of the page, and creates the configuration of Swagger UI. */
import * as Effect from "effect/Effect"
import { ConfigurationError } from "../core/SecurityError.ts"
import type { InitOAuth, Options } from "./options.ts"
import { origin, undeclared } from "./servedDocument.ts"
import { ownProperties } from "../core/lib/ownProperties.ts"

// FastAPI's defaults.
const defaults = { layout: "BaseLayout", deepLinking: true, showExtensions: true, showCommonExtensions: true }

/** Parameters of Swagger UI that the layer sets itself, or that have their own option. */
const reserved: Readonly<Record<string, string>> = {
  url: "Use the option url.",
  urls: "Use the option url.",
  spec: "Pass the document to SwaggerUi.layer.",
  configUrl: "Set the option parameters directly.",
  dom_id: "The page has its own element for Swagger UI.",
  domNode: "The page has its own element for Swagger UI.",
  presets: "Presets are code, and parameters must be JSON.",
  plugins: "Plugins are code, and parameters must be JSON.",
  initOAuth: "Use the option initOAuth.",
  oauth2RedirectUrl: "Use the option oauth2RedirectPath."
}

const isSecret = (name: string): boolean => name.replace(/[^a-z]/gi, "").toLowerCase() === "clientsecret"

// Searches at any depth, because parameters are any JSON, and options may come from untyped code.
const secrets = (setting: string, value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null
    ? Object.entries(value).flatMap(([name, inner]) =>
        isSecret(name) ? [`${setting}.${name}`] : secrets(`${setting}.${name}`, inner)
      )
    : []

export const refuse = (setting: string, message: string) =>
  Effect.fail(new ConfigurationError({ setting, message: `${setting} ${message}` }))

/** Fails with a `ConfigurationError` if an option is invalid, or if it would publish a client secret. */
export const check = Effect.fnUntraced(function* (options: Options, document: object) {
  const [secret] = [...secrets("initOAuth", options.initOAuth), ...secrets("parameters", options.parameters)]
  if (secret !== undefined) {
    return yield* refuse(
      secret,
      "must not be set, because everyone who opens the page can read it. Register a public client, which uses PKCE. " +
        "If your authorization server requires a secret, set initOAuth.unsafeClientSecret for a client without other rights."
    )
  }
  for (const name of Object.keys(options.parameters ?? {})) {
    const instead = Object.hasOwn(reserved, name) ? reserved[name] : undefined
    if (instead !== undefined) return yield* refuse(`parameters.${name}`, `cannot be set. ${instead}`)
  }
  if (options.openapiPath === false && options.url === undefined) {
    return yield* refuse("url", "must be set, because openapiPath is false. Set it to the URL of the document.")
  }
  const unknown = undeclared(document, ownProperties<Partial<InitOAuth>>(options.initOAuth ?? {}).scopes)
  if (unknown !== undefined) {
    return yield* refuse(
      "initOAuth.scopes",
      `contains ${unknown.scope}, which no scheme of the document declares. Swagger UI would not request it. Use these scopes: ${unknown.instead}.`
    )
  }
  for (const source of options.connectSources ?? []) {
    if (origin(source) !== source) {
      return yield* refuse(
        "connectSources",
        `must contain origins such as https://api.example.com, but contains ${JSON.stringify(source)}.`
      )
    }
  }
})

/** Argument of Swagger UI's `initOAuth`. The page always calls it: PKCE must be on even if the option is not set. */
export const initOAuth = (given: InitOAuth | undefined) => {
  const { unsafeClientSecret, usePkce, ...rest } = ownProperties<Partial<InitOAuth>>(given ?? {})
  return {
    ...rest,
    ...(unsafeClientSecret === undefined ? undefined : { clientSecret: unsafeClientSecret }),
    usePkceWithAuthorizationCodeGrant: usePkce ?? true
  }
}

/** Parameters of Swagger UI, without URLs. */
export const parameters = ({ deepLinking, parameters, persistAuthorization }: Options) => ({
  ...defaults,
  ...parameters,
  ...(deepLinking === undefined ? undefined : { deepLinking }),
  ...(persistAuthorization === undefined ? undefined : { persistAuthorization })
})
