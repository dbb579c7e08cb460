/** Creates apis and their OpenAPI documents, and reads their security. */
import { Validator } from "@seriousme/openapi-schema-validator"
import { assert } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { OAuth2 } from "effect-oauth2"
import { authorizationServer } from "./authorizationServer.ts"

export const scopes = { a: "The a", b: "The b", c: "The c", all: "Everything" }
export const auth = OAuth2.authorizationCode("OAuth2", { ...authorizationServer, scopes })
export const other = OAuth2.clientCredentials("Other", {
  tokenUrl: authorizationServer.tokenUrl,
  scopes: { x: "", y: "" }
})

/** Validates a document with the official schema of its OpenAPI version. */
export const assertValid = (document: OpenApi.OpenAPISpec) =>
  Effect.promise(async () => {
    const result = await new Validator().validate({ ...structuredClone(document) })
    assert.deepStrictEqual(result, { valid: true })
  })

export const documentOf = (api: HttpApi.Top) => OpenApi.fromApi(OAuth2.openApi(api))

export const get = (name: string) => HttpApiEndpoint.get(name, `/${name}`, { success: Schema.String })

export const apiOf = (...endpoints: readonly [HttpApiEndpoint.Top, ...Array<HttpApiEndpoint.Top>]) =>
  HttpApi.make("api").add(HttpApiGroup.make("g").add(...endpoints)) as unknown as HttpApi.Top

export const securityOf = (document: OpenApi.OpenAPISpec, path: string) =>
  document.paths[path as `/${string}`]?.get?.security

export const route = (path: HttpRouter.PathInput, method: Parameters<typeof HttpRouter.add>[0] = "GET") =>
  HttpRouter.add(method, path, HttpServerResponse.empty())
