/** Turns a grant into text and back. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { KeyRing } from "../../stores/keyRing.ts"
import type { StoredGrant } from "../protocol/grant.ts"
import type { VersionedGrant } from "./model.ts"

export interface Codec {
  readonly encode: (grant: VersionedGrant) => Effect.Effect<string, unknown>
  /** Returns `None` if no key can read the text any more. Fails if the text is not a grant. */
  readonly decode: (text: string) => Effect.Effect<Option.Option<VersionedGrant>, unknown>
}

const Text = Schema.String

const Grant = Schema.Struct({
  issuer: Text,
  client_id: Text,
  access_token: Text,
  refresh_token: Schema.optionalKey(Text),
  id_token: Schema.optionalKey(Text),
  token_type: Schema.Literals(["Bearer", "DPoP"]),
  scopes: Schema.Array(Text),
  sent_at: Schema.Number,
  expires_at: Schema.Number
})

const Content = Schema.fromJsonString(Schema.Struct({ version: Text, ...Grant.fields }))

/** A file that only its owner can read has the tokens in plain text. */
export const plain: Codec = {
  encode: ({ grant, version }) => Effect.succeed(Schema.encodeSync(Content)({ version, ...fieldsOf(grant) })),
  decode: (text) => {
    const content = Schema.decodeUnknownOption(Content)(text)
    // The parser's message would show the text.
    return Option.isNone(content)
      ? Effect.fail(new Error("The file is not a grant of this library. Remove the file, and sign in again."))
      : Effect.succeedSome({ version: content.value.version, grant: grantOf(content.value) })
  }
}

/**
 * The version in plain text, so that a store can compare it, and the encrypted grant. A text that was written under
 * another name does not open.
 */
export const sealed = ({ open, seal }: KeyRing, name: string): Codec => ({
  encode: ({ grant, version }) => Effect.map(seal(name, fieldsOf(grant)), (sealed) => `${version} ${sealed}`),
  decode: Effect.fnUntraced(function* (text) {
    const [version = "", sealed = ""] = text.split(" ")
    const content = Schema.decodeUnknownOption(Grant)(yield* open(name, sealed))
    return Option.isNone(content)
      ? yield* Effect.fail(
          new Error(
            "The stored grant was encrypted with another key. Add the former key, or remove the grant and sign in again."
          )
        )
      : Option.some({ version, grant: grantOf(content.value) })
  })
})

const grantOf = (fields: typeof Grant.Type): StoredGrant => {
  const { access_token, client_id, expires_at, id_token, issuer, refresh_token, scopes, sent_at, token_type } = fields
  const redacted = (text: string | undefined) => (text === undefined ? undefined : Redacted.make(text))
  return {
    issuer,
    clientId: client_id,
    accessToken: Redacted.make(access_token),
    refreshToken: redacted(refresh_token),
    idToken: redacted(id_token),
    type: token_type,
    scopes,
    sentAt: sent_at,
    expiresAt: expires_at
  }
}

const fieldsOf = (grant: StoredGrant): typeof Grant.Type => {
  const { accessToken, clientId, expiresAt, idToken, issuer, refreshToken, scopes, sentAt, type } = grant
  return {
    issuer,
    client_id: clientId,
    access_token: Redacted.value(accessToken),
    ...(refreshToken !== undefined && { refresh_token: Redacted.value(refreshToken) }),
    ...(idToken !== undefined && { id_token: Redacted.value(idToken) }),
    token_type: type,
    scopes,
    sent_at: sentAt,
    expires_at: expiresAt
  }
}
