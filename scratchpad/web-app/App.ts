/** The web app: sign-in, a page with the notes of the user, and the API that the script of the page calls. */
import { Config, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Redis } from "effect/persistence"
import { JwtVerifier, OAuth2 } from "effect-oauth2"
import { ClientAuthentication } from "effect-oauth2/client"
import { Login, LoginProvider, Sessions, SessionVerifier } from "effect-oauth2/login"
import { audience, issuer } from "../support/Addresses.ts"
import * as RedisClient from "../support/RedisClient.ts"
import * as Pages from "./Pages.ts"
import { client, isHttps, publicUrl, scopes } from "./Registration.ts"

const auth = OAuth2.authorizationCode("OAuth2", {
  authorizationUrl: `${issuer}/auth`,
  tokenUrl: `${issuer}/token`,
  scopes,
  responses: "rfc6750",
  // On https, the name of the cookie has a prefix. Scripts get 401 without a session, and pages a redirect to /login.
  session: { cookie: isHttps ? "__Host-session" : "session", isPage: (path) => !path.startsWith("/api/") }
})

/** Notes are in Redis, too, so every process has them. */
const notesOf = (subject: string) => `web-app:notes:${subject}`

const notes = Effect.gen(function* () {
  const redis = yield* Redis.Redis
  const { subject } = yield* auth.token
  return yield* redis.send<ReadonlyArray<string>>("LRANGE", notesOf(subject), "0", "-1")
}).pipe(Effect.orDie)

const Note = Schema.Struct({ text: Schema.NonEmptyString.check(Schema.isMaxLength(200)) })

const Home = HttpRouter.use((router) =>
  Effect.flatMap(Login, ({ loginPath, session }) =>
    router.add(
      "GET",
      "/",
      session.pipe(
        Effect.map((session) =>
          Pages.home(
            Option.map(session, ({ subject }) => subject),
            loginPath("/notes")
          )
        ),
        Effect.catchTag("StoreUnavailable", () => Effect.succeed(Pages.unavailable))
      )
    )
  )
).pipe(OAuth2.Public("the start page is public"))

const NotesPage = HttpRouter.add(
  "GET",
  "/notes",
  Effect.map(Effect.all([auth.token, notes]), ([{ subject }, notes]) => Pages.notes(subject, notes))
).pipe(auth.require("notes:read"))

const List = HttpRouter.add(
  "GET",
  "/api/notes",
  Effect.map(notes, (notes) => HttpServerResponse.jsonUnsafe(notes, { headers: Pages.notStored }))
).pipe(auth.require("notes:read"))

const Add = HttpRouter.add(
  "POST",
  "/api/notes",
  Effect.gen(function* () {
    const { text } = yield* HttpServerRequest.schemaBodyJson(Note)
    const redis = yield* Redis.Redis
    const { subject } = yield* auth.token
    yield* Effect.orDie(redis.send("RPUSH", notesOf(subject), text))
    return HttpServerResponse.empty({ status: 201 })
  }).pipe(
    Effect.catchIf(Schema.isSchemaError, () => Effect.succeed(HttpServerResponse.empty({ status: 422 }))),
    Effect.catchTag("HttpServerError", () => Effect.succeed(HttpServerResponse.empty({ status: 400 })))
  )
).pipe(auth.require("notes:read", "notes:write"))

/** Ends every session of the user, in all browsers and processes. */
const SignOutEverywhere = HttpRouter.add(
  "POST",
  "/sign-out-everywhere",
  Effect.gen(function* () {
    const sessions = yield* Sessions
    const { subject } = yield* auth.token
    yield* sessions.destroyBy({ issuer, subject })
    // 307 keeps the method: /logout removes the cookie of this browser.
    return HttpServerResponse.redirect("/logout", { status: 307 })
  }).pipe(Effect.catchTag("StoreUnavailable", () => Effect.succeed(Pages.unavailable)))
).pipe(auth.require())

const Files = Layer.mergeAll(
  HttpRouter.add("GET", "/app.js", Pages.script),
  HttpRouter.add("GET", "/app.css", Pages.style)
).pipe(OAuth2.Public("the files have no data of users"))

const SignIn = Layer.unwrap(
  Effect.gen(function* () {
    return Login.layer("session", {
      baseUrl: publicUrl,
      localDevelopment: !isHttps,
      // Every process needs the same secret, because another process may end the sign-in.
      secret: yield* Config.Redacted("LOGIN_SECRET"),
      provider: LoginProvider.oidc({
        issuer,
        clientId: client.clientId,
        authentication: ClientAuthentication.secret(Redacted.make(client.clientSecret)),
        scopes: ["openid", ...Object.keys(scopes)]
      })
    })
  })
)

const Verifier = JwtVerifier.layer({ issuer, audience }).pipe(SessionVerifier.accessTokens)

export const App = Layer.mergeAll(Home, NotesPage, List, Add, SignOutEverywhere, Files).pipe(
  OAuth2.secured,
  Layer.provide(auth.layer(Verifier)),
  Layer.provide(SignIn)
)

/** Sessions and notes. Provide them to the server, because handlers use them, too. */
export const Stores = Sessions.layerRedis({
  prefix: "web-app",
  idleTimeout: "8 hours",
  // The machine of an example may be busy. In production, keep the default of 250 milliseconds.
  timeout: "5 seconds"
}).pipe(Layer.provideMerge(RedisClient.layer))
