/** The apps of the recorded cases, each in all its variants. */
import * as code from "./oauth2_authorization_code_bearer.ts"
import * as scopes from "./oauth2_authorization_code_bearer_scopes_openapi.ts"
import * as optional from "./oauth2_optional.ts"
import * as openIdConnect from "./openid_connect.ts"
import * as overrides from "./dependency_security_overrides.ts"
import * as once from "./security_scopes.ts"
import * as dontPropagate from "./security_scopes_dont_propagate.ts"
import * as subDependency from "./security_scopes_sub_dependency.ts"
import * as swaggerUi from "./swagger_ui.ts"
import * as tutorial005 from "./tutorial005.ts"
import { Layer } from "effect"
import { Tokens } from "../../../scratchpad/fastapi-tutorial/Tokens.ts"
import { App as Tutorial } from "../../../scratchpad/fastapi-tutorial/Tutorial.ts"
import { serve } from "../Wire.ts"

export const apps = {
  oauth2_authorization_code_bearer: {
    "with a requirement": serve(code.App),
    "with an extracted token": serve(code.Extracted),
    "with authentication as a layer": serve(code.Layered)
  },
  oauth2_authorization_code_bearer_description: { "with a requirement": serve(code.Described) },
  oauth2_authorization_code_bearer_scopes_openapi: { "with requirements": serve(scopes.App) },
  oauth2_authorization_code_bearer_scopes_openapi_simple: { "with requirements": serve(scopes.Simple) },
  oauth2_optional: {
    "with an optional requirement": serve(optional.App),
    "with an extracted token": serve(optional.Extracted)
  },
  openid_connect: { "with an extracted token": serve(openIdConnect.App) },
  security_scopes: { "with layers": serve(once.make()) },
  security_scopes_dont_propagate: { "with effects": serve(dontPropagate.App) },
  security_scopes_sub_dependency: { "with effects": serve(subDependency.open()) },
  dependency_security_overrides: { "with layers": serve(overrides.App) },
  "dependency_security_overrides[data]": { "with another layer": serve(overrides.OverrideData) },
  "dependency_security_overrides[security]": { "with another layer": serve(overrides.OverrideSecurity) },
  swagger_ui_init_oauth: { "with SwaggerUi": serve(swaggerUi.InitOAuth) },
  no_swagger_ui_redirect: { "with SwaggerUi": serve(swaggerUi.NoRedirect) },
  custom_swagger_ui_redirect: { "with SwaggerUi": serve(swaggerUi.CustomRedirect) },
  tutorial005: {
    "with requirements": serve(tutorial005.App),
    "as scratchpad/fastapi-tutorial": serve(Tutorial).pipe(Layer.provide(Tokens.layer))
  }
}
