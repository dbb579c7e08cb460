/** Ends JSON bodies with a newline, so that the prompt of a shell starts on a new line after the output of curl. */
import { HttpBody, HttpServerResponse } from "effect/http"

const json = /^application\/(?:[a-z]+\+)?json\b/

export const end = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { body } = response
  if (body._tag !== "Uint8Array" || !json.test(body.contentType)) return response
  const text = body.text ?? new TextDecoder().decode(body.body)
  return HttpServerResponse.setBody(response, HttpBody.text(`${text}\n`, body.contentType))
}
