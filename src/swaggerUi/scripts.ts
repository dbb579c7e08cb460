/**
 * Browser scripts of the documentation page and of the redirect page.
 *
 * They are strings, because bundlers and coverage tools change functions so that their source fails in a browser.
 */

/** Starts Swagger UI with the configuration in the page. */
export const page = `"use strict"
{
  const { initOAuth, parameters, ...given } = JSON.parse(document.getElementById("swagger-ui-configuration").textContent)
  const absolute = (url, base) => (URL.canParse(url, base) ? new URL(url, base).href : url)
  const url = absolute(given.url, location.href)

  // Swagger UI resolves relative URLs against different bases. OpenAPI requires the URL of the document as the base.
  const resolve = (object, ...names) => {
    for (const name of names) {
      // Swagger UI resolves a URL with variables after it has replaced them.
      if (typeof object?.[name] === "string" && !object[name].includes("{")) object[name] = absolute(object[name], url)
    }
  }
  const withAbsoluteUrls = (text) => {
    let api
    try {
      api = JSON.parse(text)
    } catch {
      return text // YAML
    }
    for (const server of Array.isArray(api?.servers) ? api.servers : []) {
      resolve(server, "url")
      if (typeof server?.url === "string") server.url = server.url.replace(/\\/$/, "")
    }
    for (const scheme of Object.values(api?.components?.securitySchemes ?? {})) {
      resolve(scheme, "openIdConnectUrl")
      for (const flow of Object.values(scheme?.flows ?? {})) resolve(flow, "authorizationUrl", "tokenUrl", "refreshUrl")
    }
    return JSON.stringify(api)
  }

  // Swagger UI's own state is the current time, but an attacker must not be able to guess it (RFC 6749 section 10.10).
  const withRandomState = (authorizationUrl, attempt) => {
    const target = new URL(authorizationUrl, url)
    const bytes = crypto.getRandomValues(new Uint8Array(32))
    attempt.state = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
    target.searchParams.set("state", attempt.state)
    return target.href
  }

  // Swagger UI counts an optional operation as authorized without a login, and would show its lock as closed.
  const withoutAnonymous = (securities) => {
    const others = securities?.filter?.((security) => security.size > 0)
    return others === undefined || others.size === 0 ? securities : others
  }

  // A browser adds the session cookie to requests of this page. A service refuses a request with two credentials.
  const requestInterceptor = (request) => {
    const isAuthorized = Object.keys(request.headers ?? {}).some((name) => name.toLowerCase() === "authorization")
    const omits = parameters.withCredentials === false ? !request.loadSpec : isAuthorized && !parameters.withCredentials
    if (omits) request.credentials = "omit"
    return request
  }

  // A script cannot set a cookie that the server reads, so a field for the cookie's value would do nothing.
  const isCookie = (scheme) => scheme.get("type") === "apiKey" && scheme.get("in") === "cookie"
  const withoutCookies = (definitions) => {
    const others = definitions?.filterNot?.((definition) => definition.every(isCookie))
    return others === undefined || others.size === 0 ? definitions : others
  }

  const plugin = () => ({
    statePlugins: {
      spec: { wrapActions: { updateSpec: (original) => (text) => original(withAbsoluteUrls(text)) } },
      auth: {
        wrapSelectors: {
          definitionsToAuthorize: (original) => () => withoutCookies(original()),
          isAuthorized: (original) => (_, securities) => original(withoutAnonymous(securities))
        },
        wrapActions: {
          authPopup: (original) => (authorizationUrl, attempt) =>
            original(withRandomState(authorizationUrl, attempt), attempt)
        }
      }
    }
  })

  // The policy of the page forbids style elements, but not style sheets of scripts.
  const styles = new CSSStyleSheet()
  const rules = [
    // The dialog uses the height of the window. If it must scroll, errors and buttons stay in view.
    ".swagger-ui .modal-ux .modal-ux-content { max-height: calc(100vh - 140px) }",
    ".swagger-ui .modal-ux .auth-btn-wrapper { position: sticky; bottom: -20px; background: #fff; padding: 10px 0 20px }",
    ".swagger-ui .modal-ux .auth-container .errors { position: sticky; bottom: 45px }",
    "html.dark-mode .swagger-ui .modal-ux .auth-btn-wrapper { background: #2a2e30 }"
  ]
  if (initOAuth.clientId !== undefined && initOAuth.clientSecret === undefined) {
    // A public client has no secret. Other clients of the dialog, such as those of client credentials, have one.
    const labels = ["accessCode", "authorizationCode", "authorization_code"]
      .map((flow) => "[for=client_secret_" + flow + "]")
      .join()
    rules.push(".swagger-ui .auth-container :has(> label:is(" + labels + ")) { display: none }")
  }
  styles.replaceSync(rules.join(""))
  document.adoptedStyleSheets = [styles]

  const ui = SwaggerUIBundle({
    ...parameters,
    url,
    dom_id: "#swagger-ui",
    presets: [SwaggerUIBundle.presets.apis],
    plugins: [plugin],
    requestInterceptor,
    ...(given.oauth2RedirectUrl === undefined
      ? {}
      : { oauth2RedirectUrl: absolute(given.oauth2RedirectUrl, location.href) })
  })
  ui.initOAuth(initOAuth)
  window.ui = ui
}
`

/**
 * Passes the authorization server's response to the page that opened this one (RFC 6749 §4.1.2, §4.2.2).
 *
 * The script refuses a response whose `state` differs from the request's (RFC 6749 §10.12). Swagger UI's own redirect
 * page only warns.
 */
export const redirect = `"use strict"
{
  const flows = ["accessCode", "authorizationCode", "authorization_code"]
  const fragment = new URLSearchParams(location.hash.slice(1))
  const inFragment = ["code", "access_token", "error"].some((name) => fragment.has(name))
  const answer = inFragment ? fragment : new URLSearchParams(location.search)
  // A parameter must not occur twice (RFC 6749 section 3.1).
  const one = (name) => {
    const values = answer.getAll(name)
    return values.length === 1 && values[0] !== "" ? values[0] : undefined
  }

  const attemptOfOpener = () => {
    try {
      return window.opener.swaggerUIRedirectOauth2
    } catch {
      return undefined // The page has no opener, or the opener has another origin.
    }
  }

  const failure = () => {
    const error = one("error")
    if (error === undefined) return "[Authorization failed]: The response has no valid code or access token."
    const description = one("error_description") ?? "The authorization server gave no description"
    const uri = one("error_uri")
    return "[" + error + "]: " + description + "." + (uri === undefined ? "" : " More info: " + uri)
  }

  const finish = (attempt) => {
    const { auth, redirectUrl } = attempt
    const fail = (message) => {
      document.getElementById("message").textContent = message
      attempt.errCb({ authId: auth.name, source: "auth", level: "error", message })
    }
    if (typeof attempt.state !== "string" || one("state") !== attempt.state) {
      return fail("The response was refused because its state differs from the request's. It may be forged. Try again.")
    }
    // A second response with the same state must fail.
    delete attempt.state
    if (!flows.includes(auth.schema.get("flow"))) {
      return one("access_token") === undefined
        ? fail(failure())
        : attempt.callback({ auth, token: Object.fromEntries(answer), isValid: true, redirectUrl })
    }
    const code = one("code")
    if (code === undefined || answer.has("error")) return fail(failure())
    auth.code = code
    attempt.callback({ auth, redirectUrl })
  }

  const attempt = attemptOfOpener()
  if (attempt === undefined || attempt === null) {
    document.getElementById("message").textContent =
      "The page that opened this window has no authorization in progress. Close this window and press Authorize again."
  } else {
    finish(attempt)
    window.close()
  }
}
`
