// Generates one api of 200 endpoints in 20 groups as three programs: open, with a plain middleware, with requirements.

export const variants = ["open", "middleware", "requirements"] as const
export type Variant = (typeof variants)[number]

const groups = Array.from({ length: 20 }, (_, index) => index)
const endpoints = Array.from({ length: 10 }, (_, index) => index)

/** Returns the scope of a group. With the scope of the api, there are 21 scopes. */
const scope = (group: number): string => JSON.stringify(`items${group % groups.length}`)

const imports = {
  open: "",
  middleware: "",
  requirements: `import { OAuth2 } from "effect-oauth2"\n`
}

const declarations = {
  open: "",
  middleware: `
class CurrentUser extends Context.Service<CurrentUser, { readonly subject: string }>()("CurrentUser") {}
class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}, { httpApiStatus: 401 }) {}
class Authentication extends HttpApiMiddleware.Service<Authentication, { provides: CurrentUser }>()("Authentication", {
  error: Unauthorized
}) {
  static readonly layer = Layer.succeed(Authentication, (effect) =>
    Effect.provideService(effect, CurrentUser, { subject: "demo" })
  )
}
`,
  requirements: `
const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: "https://idp.example.com/authorize",
  tokenUrl: "https://idp.example.com/token",
  scopes: { api: "", ${groups.map((group) => `${scope(group)}: ""`).join(", ")} }
})
`
}

/** Returns the requirement of an endpoint. Every second endpoint also requires the scope of the next group. */
const ofEndpoint = (variant: Variant, group: number, endpoint: number): string =>
  variant === "requirements" && endpoint % 2 === 1 ? `.middleware(auth.require(${scope(group + 1)}))` : ""

const ofGroup = (variant: Variant, group: number): string =>
  variant === "requirements" ? `.middleware(auth.require(${scope(group)}))` : ""

const ofApi = {
  open: "",
  middleware: ".middleware(Authentication)",
  requirements: `.middleware(auth.require("api")).pipe(OAuth2.secured)`
}

/** Returns the effect from which a handler reads its subject. */
const subject = (variant: Variant, group: number, endpoint: number): string => {
  switch (variant) {
    case "open":
      return `Effect.succeed({ subject: "demo" })`
    case "middleware":
      return "CurrentUser"
    case "requirements":
      return `auth.granted(${endpoint % 2 === 1 ? scope(group + 1) : scope(group)})`
  }
}

const proven = { open: "", middleware: "", requirements: ".pipe(OAuth2.secured)" }
const authentication = { open: "", middleware: "Authentication.layer", requirements: "auth.layerTest({})" }

export const generate = (variant: Variant): string => {
  const group = (index: number) => `
const Group${index} = HttpApiGroup.make("group${index}").add(
${endpoints
  .map(
    (endpoint) => `  HttpApiEndpoint.post("endpoint${endpoint}", "/group${index}/:id/${endpoint}", {
    params: { id: Schema.FiniteFromString },
    payload: Schema.Struct({ name: Schema.String }),
    success: Item
  })${ofEndpoint(variant, index, endpoint)}`
  )
  .join(",\n")}
)${ofGroup(variant, index)}
`
  const handlers = (index: number) => `
const Handlers${index} = HttpApiBuilder.group(Api, "group${index}", (handlers) => handlers${endpoints
    .map(
      (endpoint) => `
  .handle("endpoint${endpoint}", ({ params, payload }) =>
    Effect.map(${subject(variant, index, endpoint)}, ({ subject }) => ({ id: params.id, name: payload.name, subject })))`
    )
    .join("")})${proven[variant]}
`
  return `import { Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware } from "effect/http-api"
${imports[variant]}
export const used = [Context, HttpApiMiddleware]
const Item = Schema.Struct({ id: Schema.Finite, name: Schema.String, subject: Schema.String })
${declarations[variant]}${groups.map(group).join("")}
export const Api = HttpApi.make("api").add(${groups.map((index) => `Group${index}`).join(", ")})${ofApi[variant]}
${groups.map(handlers).join("")}
export const Served = HttpApiBuilder.layer(Api).pipe(
  Layer.provide([${groups.map((index) => `Handlers${index}`).join(", ")}]),
  ${authentication[variant] === "" ? "" : `Layer.provide(${authentication[variant]})`}
)
`
}
