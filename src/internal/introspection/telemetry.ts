/** What is told of questions that fail: log events, without tokens, secrets or anything that an answer says. */
import * as Effect from "effect/Effect"
import type { Status, Unavailable } from "../authorizationServer/http.ts"

export const reportFailure = (issuer: string, reason: Unavailable | Status, isFirst: boolean): Effect.Effect<void> =>
  (isFirst ? Effect.logWarning : Effect.logDebug)(
    `The authorization server could not be asked about a token${adviceAbout(reason)}`
  ).pipe(Effect.annotateLogs({ issuer, reason }))

const adviceAbout = (reason: Unavailable | Status): string => {
  switch (reason) {
    case 400:
    case 401:
    case 403:
      return ": it refuses the question. Look at clientId, clientSecret and authMethod, and whether this client may introspect"
    case "IssuerMismatch":
      return ": its metadata names another issuer. issuer is compared as an exact string, to the slash at the end; write what the metadata says"
    case "BadResponse":
      return ": where its answer should be is something else, or its metadata names no introspection_endpoint. endpoint says where to ask"
    default:
      return ""
  }
}

export const reportRecovery = (issuer: string): Effect.Effect<void> =>
  Effect.annotateLogs(Effect.logInfo("The authorization server is asked about tokens again"), { issuer })
