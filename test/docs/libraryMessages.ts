// Reads the messages of the library from src, and says what to do about each of them.
import ts from "@typescript/typescript6"
import { globSync, readFileSync } from "node:fs"
import { join, sep } from "node:path"

/** `whole`: an error or a log message. `refusal`: an error of a request. `part`: a text that completes other messages. */
export type Kind = "whole" | "refusal" | "option" | "part"

export interface Message {
  readonly kind: Kind
  /** File, relative to src. */
  readonly file: string
  /** Text, with `…` for each value. */
  readonly text: string
  /** What to do. Empty for options and parts, which are no whole messages. */
  readonly fix: string
}

const root = join(import.meta.dirname, "..", "..")

/** Texts of documents and pages, which are not messages. */
const notMessages =
  /^(?:swaggerUi\/html|openApi\/(?:refusalResponses|responses)|guard\/requirement\/(?:words|sentence))\.ts$/

const optionFiles =
  /^(?:verifier\/claims\/(?:policy|issuers)|core\/(?:url|resourceIdentifier)|resource\/metadata|verifier\/cache\/cacheSettings|swaggerUi\/(?:configuration|paths|assets))\.ts$/

/** Scripts of Redis, statements of SQL, markup, and lists of names: code in texts. */
const code =
  /redis\.call\(|^(?:SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE (?:TABLE|INDEX)) |^, \w+ (?:TEXT|BIGINT)|^<|^default-src|^iss aud|^WWW-Authenticate,/

/** What to do about messages that do not say so themselves, by their first words. */
const fixes: Readonly<Record<string, string>> = {
  "The request has no credentials": "The client must send `Authorization: Bearer`, a space, and an access token.",
  "The request has credentials of another scheme":
    "The client must send a bearer token instead of, for example, `Basic`.",
  "The request is not authenticated": "The client must send an access token.",
  "The credentials do not have the form": "The client must send a value of the form that the scheme documents.",
  "The credentials are malformed": "The client must send one token, without quotation marks and white space.",
  "The credentials are longer than": "Request fewer scopes or roles, or raise `BearerToken.MaxLength`.",
  "The request has several credentials": "Only the client, or only the proxy, may send the header.",
  "A page of another site has sent": "If the page is yours, add its origin to `trustedOrigins`.",
  "The DPoP proof has no nonce": "The client must send the nonce of the `DPoP-Nonce` header. Its library usually does.",
  "The nonce of the DPoP proof": "The client must send the newest nonce of the `DPoP-Nonce` header.",
  "The DPoP proof needs a nonce":
    "The client must send the nonce of the `DPoP-Nonce` header. Its library usually does.",
  "The DPoP proof was refused": "Read the reason after the colon. [Bound tokens](../guides/dpop.md) lists the reasons.",
  "The user authenticated":
    "The client must start a new login with the `acr_values` and the `max_age` of the challenge.",
  "The authentication of the user": "The client must start a new login with the values of the challenge.",
  "Authentication too weak": "The client must start a new login with the values of the challenge.",
  "A store that decides about tokens": "Check the server of the store. The log has the cause.",
  "A shared store is available again": "Do nothing. The outage has ended.",
  "The program has received": "Do nothing. This is a page for the user.",
  "This address is not part of a sign-in": "Open the address that the program has printed.",
  "The file is not a grant": "Remove the file, and sign in again.",
  "Another process has the lock": "Wait for the other process, or remove the lock file if the process has ended.",
  "The request has a session cookie, but":
    "Send the header with each request of a script, or change the option `csrfHeader`.",
  "A refresh token was not revoked": "Revoke the token at the identity provider if the user must lose access at once.",
  "A sign-in failed": "Read the annotations of the log entry. They name the check or the error code.",
  "The identity provider signed the user out": "The user must sign in again.",
  "This sign-in has expired": "The user must start the sign-in again.",
  "The sign-in was cancelled": "The user can start the sign-in again.",
  "The identity provider refused": "Read the log. It has the error code of the provider.",
  "The identity provider does not answer": "The user can try again later.",
  "The answer of the identity provider": "Read the log. It names the check that failed.",
  "You were signed out": "The user must sign in again.",
  "The request is not valid": "The user must start the sign-in again.",
  "The request came from another site": "Start the sign-in on a page of the app.",
  "The sign-in does not work": "Read the log. It names the cause.",
  "The logout token is not valid": "Read the log. It names the claim.",
  "The logout token was used before": "Do nothing. The session has ended.",
  "Logout token refused": "Read the reason after the colon.",
  "A logout token of":
    "Read the reason. Correct the options of `BackChannelLogout`, or the settings of the identity provider.",
  "… its … claim is missing or not allowed": "Correct the settings of the identity provider.",
  "The scheme … accepts a session cookie":
    "Pipe the verifier through `SessionVerifier.accessTokens` or `SessionVerifier.identities`.",
  "… The … of the token is not that of a logout token": "Send logout tokens only to the route of `BackChannelLogout`.",
  "A token that is bound to a certificate was refused":
    "Serve HTTPS with `requestCert`, or set the `proxy` option of `MutualTls.make`.",
  "Tokens … be bound to …": "This is a sentence of the OpenAPI document.",
  "The access token was refused":
    "Read the reason after the colon. [Troubleshooting](../troubleshooting.md) lists the reasons.",
  "The access token lacks a required scope":
    "The client must request the scope that the message and the challenge name.",
  "The nonce of the DPoP proof is not": "Nothing. The client sends a new proof with the nonce of the response.",
  "The authentication of the user is too": "The client must let the user authenticate as the challenge says (step-up).",
  "A store that decides about tokens is unavailable":
    "Find out why the store is unavailable. The log has a warning that names the store.",
  "Authentication too weak or too old": "This is the body of a 401 response. The challenge says what to request.",
  "The access token does not satisfy": "A custom check refused the token. The message names the check.",
  "The authorization server… is unavailable": "Read the reason. The log has a warning with the URL and the result.",
  "[Authorization failed]: The response": "Check the redirect URI at the provider, and press Authorize again.",
  "Could not validate credentials": "This is the body of a 401 response. The log of the server has the reason.",
  "The renderer took longer": "Shorten the `Effect` of the renderer. The client got the standard response.",
  "…: … is not a scope name": "Rename the scope.",
  "The scope … has no placeholder": "Pass the scope as a string, or give it a placeholder, such as `read:{org}`.",
  "Effect applied a requirement":
    "Install a version of `effect` that `effect-oauth2` supports. If the message stays, report it.",
  "A refused clause has no refusals": "Report the bug, with the requirement of the route.",
  "A refused message has no refusal": "Report the bug, with the requirement of the tool.",
  "The DecisionLog took longer": "Write the decision to a queue, and to the audit log from there.",
  "The DecisionLog failed": "Read the cause beside the message. The annotations hold the decision.",
  "…: OpenAPI cannot describe …": "Read the rest of the message, which names the change.",
  "…: OpenApiSecurity.schemas describes the path": "Rename the parameter in the schema, or in the path.",
  "SwaggerUi.layer could read": "Nothing. The page works again.",
  "… it is not a well-formed JWT": "Check whether the client or a proxy changes the token.",
  "… its iss claim is not the URL":
    "Set `httpHosts` for http in a container network. Otherwise, the token is not one of yours.",
  "It may contain only spaces": "Part of a message about `clientId` or `clientSecret`.",
  "… The token is of an application": "Set the option that the message names, if applications may call the API.",
  "… The typ header of the token": "The client must send its access token, and not an ID token or a logout token.",
  "… No profile accepts the token": "The client must send its access token.",
  "A token of … was refused, because profile": "Read the rest of the message, which names the option.",
  "A token of … was refused, because ….": "Read the rest of the message, which names the option.",
  "A token of … was refused, because its … claim is missing": "Read the rest of the message, which names the option.",
  "A token was refused, although": "Read the rest of the message, which names the option.",
  "An introspection request to":
    "Read the rest of the message, and [troubleshooting](../troubleshooting.md#the-response-is-503).",
  "The credentials option of TokenIntrospection failed":
    "Correct the effect in `credentials`. The message has its error.",
  "Introspection requests to the authorization server work": "Nothing. The server answers again.",
  "A token for … was refused, because": "Read the rest of the message, which names the option.",
  "The allowed algorithms are": "Part of a message about `algorithms`.",
  "The token has ….": "Part of a message about a claim.",
  "The waitUntil function of": "Correct the function that you pass to `RequestIsolation`.",
  "The HttpClient died": "Read the cause beside the message. Correct your `HttpClient`.",
  "A published key is refused": "The annotations name the key and the reason. Correct the key at the issuer.",
  "No published key is usable": "Publish a key that the `algorithms` option allows.",
  "The issuer's keys could not be fetched": "See [Keys](../guides/providers.md#keys) for each result.",
  "Fetching the issuer's keys works": "Nothing. The issuer answers again.",
  "Stale keys are in use": "Find out why the issuer is unavailable before `staleFor` ends.",
  "The stale keys have expired": "Find out why the issuer is unavailable.",
  "TestIssuer.respond made this endpoint": "Expected in the test. Call `respond` with `normal` to end the outage.",
  "TestIssuer responds only at": "Request a URL of the issuer, or provide another `HttpClient` for other URLs.",
  "The documentation page is not available": "Read the error in the log. It says which package or option is missing."
}

const imperative =
  /^(?:Accept|Add|Apply|Ask|Build|Call|Catch|Change|Check|Close|Compare|Configure|Correct|Create|Declare|Decode|Give|Install|Keep|Leave|Let|Listen|Make|Mark|Name|Pass|Provide|Publish|Put|Raise|Read|Remove|Rename|Request|Return|Revoke|Send|Set|Switch|Synchronize|Use|Wait|Write|Do not|Try|Clients must|If |Otherwise|Inside |Around |The issuer must|Or )|\bmust\b/

const sentencesOf = (text: string): ReadonlyArray<string> =>
  text.split(/(?<=[a-z)\]}"'…A-Z0-9;]\.)\s+/).filter((sentence) => sentence !== "")

/** The sentences that say what to do, from the first imperative on. */
const fixIn = (text: string): string => {
  const sentences = sentencesOf(text)
  const first = sentences.findIndex((sentence) => imperative.test(sentence.replace(/^\W+/, "")))
  return first < 0 ? "" : sentences.slice(first).join(" ")
}

const fixOf = (text: string): string => {
  const start = Object.keys(fixes).find((start) => text.startsWith(start))
  return fixIn(text) || (start === undefined ? "" : (fixes[start] ?? ""))
}

const textOf = (node: ts.Node): string | undefined => {
  if (ts.isStringLiteral(node) || ts.isNoSubstitutionTemplateLiteral(node)) return node.text
  if (ts.isTemplateExpression(node)) {
    return node.head.text + node.templateSpans.map(({ literal }) => `…${literal.text}`).join("")
  }
  if (ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.PlusToken) {
    const [left, right] = [textOf(node.left), textOf(node.right)]
    return left === undefined && right === undefined ? undefined : (left ?? "…") + (right ?? "…")
  }
  return undefined
}

const kindOf = (node: ts.Node, file: string, text: string): Kind | undefined => {
  if (/^(?:core\/SecurityError|core\/answer)\.ts$/.test(file)) return "refusal"
  let isError = false
  for (let parent = node.parent; parent !== undefined && !ts.isBlock(parent); parent = parent.parent) {
    const callee = ts.isCallExpression(parent) || ts.isNewExpression(parent) ? parent.expression.getText() : ""
    // Names and descriptions of metrics.
    if (callee.startsWith("Metric.")) return undefined
    if (/^(?:refuseOption|refuse|ConfigurationError)$/.test(callee)) return "option"
    isError ||= /^(?:TypeError|Error|mistake|Effect\.log\w*)$/.test(callee)
  }
  if (optionFiles.test(file) || text.startsWith("must ")) return "option"
  return isError || /^(?:…[:.]? |\[)?[A-Z].*(?:\.|because)$|^… (?:its?|the) .*\.$/.test(text) ? "whole" : "part"
}

/** Reads the messages of one file: literals of at least four words. */
export const messagesOf = (file: string, source: string): ReadonlyArray<Message> => {
  if (notMessages.test(file)) return []
  // The scripts of the documentation page are texts in this file.
  if (file === "swaggerUi/scripts.ts") {
    return Array.from(source.matchAll(/`([^`]*)`/g), ([, script = ""]) => script)
      .flatMap((script) => messagesOf("swaggerUi/page.js", script))
      .filter(({ kind }) => kind === "whole")
  }
  const messages: Array<Message> = []
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true)
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return
    if (ts.isTypeAliasDeclaration(node) || ts.isInterfaceDeclaration(node)) return
    const text = textOf(node)?.trim()
    if (text === undefined) return ts.forEachChild(node, visit)
    if (code.test(text)) return
    if (text.replaceAll("…", "").trim().split(/\s+/).length < 4) return
    const kind = kindOf(node, file, text)
    if (kind === undefined) return
    messages.push({ kind, file, text, fix: kind === "option" || kind === "part" ? "" : fixOf(text) })
  }
  visit(tree)
  return messages
}

/** Reads the messages of all files of src. */
export const libraryMessages = (): ReadonlyArray<Message> =>
  globSync("src/**/*.ts", { cwd: root })
    .map((path) => path.split(sep).join("/"))
    .toSorted()
    .flatMap((path) => messagesOf(path.slice("src/".length), readFileSync(join(root, path), "utf8")))

/** Starts of the messages in the table of fixes, so that a test can find those that no message has. */
export const fixedMessages: ReadonlyArray<string> = Object.keys(fixes)
