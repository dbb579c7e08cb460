// The types of the scopes of one flow: only declared scopes.
import { OAuth2 } from "effect-oauth2"
import { describe, test } from "tstyche"

const tokenUrl = "https://idp.example.com/token"
const scopes = { "items:read": "", "reports:write": "" }

describe("the scopes of a flow", () => {
  test("must be declared", () => {
    const jobs = OAuth2.make("Jobs", { flows: { clientCredentials: { tokenUrl, scopes: ["reports:write"] } }, scopes })
    jobs.require("items:read")
    OAuth2.make("Jobs", {
      // @ts-expect-error Type '"reports:read"' is not assignable to type '...'.
      flows: { clientCredentials: { tokenUrl, scopes: ["reports:read"] } },
      scopes
    })
  })

  test("do not declare scopes of the scheme", () => {
    const none = OAuth2.make("None", { flows: { password: { tokenUrl } }, scopes: { me: "" } })
    // @ts-expect-error is not assignable to
    none.require("reports:write")
  })
})
