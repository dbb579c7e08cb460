/**
 * The web page: "Sign in", the items of the signed-in user, and "Sign out".
 *
 * The browser has a session cookie, and no token. The page and the API have the same requirements.
 */
import { ByteSize, Effect, Layer, Option, Redacted, Schema } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse
} from "effect/http"
import { OAuth2, OpenApiSecurity, type SecurityError } from "effect-oauth2"
import { ClientAuthentication } from "effect-oauth2/client"
import { Login, LoginProvider, Sessions } from "effect-oauth2/login"
import { randomBytes } from "node:crypto"
import { clients } from "./AuthorizationServer.ts"
import { escape, page, send } from "./Html.ts"
import { type Item, Items } from "./Items.ts"
import type { Auth } from "./Security.ts"

export interface Options {
  /** Origin of the page, such as `http://127.0.0.1:3000`. */
  readonly origin: string
  readonly issuer: string
}

const path = "/your-items"
const cookie = "items-session"

/** A browser without a session goes from the page to the sign-in. The API responds with 401. */
export const session: OAuth2.SessionCookie = { cookie, isPage: (opened) => opened === path }

/** Adds `/login`, `/callback` and `/logout`. The sessions are in memory, so they end with the program. */
export const signIn = ({ issuer, origin }: Options) =>
  Login.layer(cookie, {
    baseUrl: origin,
    // Without https, the cookie has no prefix `__Host-`.
    localDevelopment: true,
    secret: Redacted.make(randomBytes(32).toString("base64url")),
    provider: LoginProvider.oidc({
      issuer,
      clientId: clients.web.clientId,
      authentication: ClientAuthentication.secret(Redacted.make(clients.web.clientSecret)),
      scopes: ["openid", "items:read", "items:write"]
    })
  }).pipe(Layer.provide(Sessions.layerMemory()))

export const routes = (auth: Auth, options: Options) =>
  Layer.unwrap(
    Effect.map(Effect.all([Items, Login]), ([items, login]) =>
      Layer.mergeAll(start(login), ofUser(auth, items, login, options)).pipe(
        Layer.provide([atOrigin(options).layer, OpenApiSecurity.hidden])
      )
    )
  )

type LoginService = Login["Service"]

const redirect = (location: string) =>
  HttpServerResponse.redirect(location, { status: 303, headers: { "cache-control": "no-store" } })

/** The page of a visitor who is not signed in. */
const start = ({ loginPath, session }: LoginService) =>
  OAuth2.route(
    "GET",
    "/",
    session.pipe(
      Effect.map(
        Option.match({
          onSome: () => redirect(path),
          onNone: () =>
            send(
              page(
                "Items",
                `<p>Sign in to see your items.</p>
<p><a href="${escape(loginPath(path))}">Sign in</a></p>
${documentation}`
              )
            )
        })
      ),
      // A store in memory always responds.
      Effect.orDie
    )
  ).pipe(OAuth2.Public("visitors sign in here"))

const Form = Schema.Struct({ name: Schema.Trim.check(Schema.isNonEmpty(), Schema.isMaxLength(100)) })

/** The page of a signed-in user. A session cookie and a bearer token prove scopes in the same way. */
const ofUser = (auth: Auth, items: Items["Service"], login: LoginService, { issuer }: Options) => {
  const show = Effect.fnUntraced(function* (status: number, message?: string) {
    const { subject } = yield* auth.token
    return send(page("Your items", list(subject, yield* items.own, message), [issuer]), status)
  })

  const Show = OAuth2.route("GET", path, show(200))

  // The library checks that the form is of this origin, because a browser sends the cookie with each form.
  const Add = OAuth2.route(
    "POST",
    path,
    HttpServerRequest.schemaBodyUrlParams(Form).pipe(
      Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(4)),
      Effect.flatMap(({ name }) => items.create(name)),
      // After a redirect, a reload of the page does not send the form again.
      Effect.as(redirect(path)),
      Effect.catchTag("SchemaError", () => show(400, "Enter a name of 1 to 100 characters."))
    )
  ).pipe(auth.require("items:write"))

  return Layer.mergeAll(Show, Add).pipe(auth.require("items:read"), Layer.provide(refusals(login, issuer).layer))
}

/** Responds to refusals with pages. Without this middleware, the page responds with the JSON of the API. */
const refusals = ({ loginPath }: LoginService, issuer: string) =>
  HttpRouter.middleware<{ handles: SecurityError.InsufficientScope | SecurityError.NotAuthenticated }>()((handler) =>
    handler.pipe(
      Effect.catchTag("InsufficientScope", ({ missing }) => Effect.succeed(send(notAllowed(missing, issuer), 403))),
      // The library redirects a page that is opened. A session may also end before a form is sent.
      Effect.catchTag("NotAuthenticated", (error) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method }) =>
          method === "POST" ? Effect.succeed(redirect(loginPath(path))) : HttpServerRespondable.toResponse(error)
        )
      )
    )
  )

const notAllowed = (missing: ReadonlyArray<string>, issuer: string) =>
  page(
    "Not allowed",
    `<p role="alert">Your account must not read or add items. It lacks: ${escape(missing.join(" "))}</p>
<p>Sign out, and sign in as another user.</p>
${signOut}
${documentation}`,
    [issuer]
  )

/** The sign-in returns to one origin, and a browser has other cookies for localhost than for 127.0.0.1. */
const atOrigin = ({ origin }: Options) =>
  HttpRouter.middleware((handler) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, method }) =>
      method === "GET" && headers["host"] !== new URL(origin).host ? Effect.succeed(redirect(`${origin}/`)) : handler
    )
  )

const list = (subject: string, items: ReadonlyArray<Item>, message?: string) => `
<p>You are signed in as <strong>${escape(subject)}</strong>.</p>
${items.length === 0 ? "<p>You have no items.</p>" : `<ul>${items.map(({ name }) => `<li>${escape(name)}</li>`).join("")}</ul>`}
<form method="post">
${message === undefined ? "" : `<p role="alert" id="message">${escape(message)}</p>`}
<label for="name">New item</label>
<input id="name" name="name" maxlength="100" required autocomplete="off"${
  message === undefined ? "" : ` aria-invalid="true" aria-describedby="message"`
}>
<button type="submit">Add</button>
</form>
${signOut}
${documentation}`

const signOut = `<form method="post" action="/logout"><button type="submit">Sign out</button></form>`

const documentation = `<p>Programs use the API: <a href="/docs">documentation</a></p>`
