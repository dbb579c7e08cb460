/**
 * The sign-in page at `/interaction/<uid>`. oidc-provider redirects browsers without a session to it.
 *
 * The page accepts any name, without a password. The name becomes the `sub` claim of the tokens.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { ByteSize, Effect, identity, Schema } from "effect"
import { HttpIncomingMessage, HttpServerRequest, HttpServerResponse } from "effect/http"
import { errors, type Provider } from "oidc-provider"
import { send } from "../Html.ts"
import * as Pages from "./Pages.ts"

export const path = "/interaction/"

// OpenID Connect Core 1.0 §2 limits `sub` to 255 characters.
const LoginForm = Schema.Struct({ login: Schema.Trim.check(Schema.isNonEmpty(), Schema.isMaxLength(255)) })

/** Handles all requests below {@link path}. */
export const handler = Effect.fnUntraced(
  function* (provider: Provider) {
    const request = yield* HttpServerRequest.HttpServerRequest
    const incoming = NodeHttpServerRequest.toIncomingMessage(request)
    const outgoing = NodeHttpServerRequest.toServerResponse(request)

    const { params } = yield* Effect.tryPromise({
      try: () => provider.interactionDetails(incoming, outgoing),
      catch: identity
    })
    const page = (message?: string) =>
      Pages.login({
        clientId: String(params["client_id"]),
        scope: typeof params["scope"] === "string" ? params["scope"] : "no scopes",
        redirectUri: String(params["redirect_uri"]),
        hint: "The name guest gets no scope of the API.",
        ...(message === undefined ? undefined : { message })
      })
    if (request.method !== "POST") return send(page(), 200)

    return yield* HttpServerRequest.schemaBodyUrlParams(LoginForm).pipe(
      Effect.flatMap(({ login }) =>
        Effect.tryPromise({
          try: () => provider.interactionResult(incoming, outgoing, { login: { accountId: login } }),
          catch: identity
        })
      ),
      Effect.map((returnTo) => HttpServerResponse.redirect(returnTo, { status: 303 })),
      Effect.catchIf(Schema.isSchemaError, () =>
        Effect.succeed(send(page("Enter a name of 1 to 255 characters."), 400))
      )
    )
  },
  Effect.catchIf(
    (error) => error instanceof errors.SessionNotFound,
    () => Effect.succeed(send(Pages.error("session_not_found", "This sign-in has expired. Start again."), 400))
  ),
  Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.kibibytes(4))
)
