/** Extraction of bearer tokens from requests over a real socket. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { HttpRouter } from "effect/http"
import { BearerToken } from "effect-oauth2"
import { oracle, token } from "../support/extractBearerToken.ts"
import { get, Routes, send, serve } from "../support/bearerTokenApp.ts"

const nextGoodRequest = Effect.gen(function* () {
  for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
    const { body, status } = yield* get(path, "Authorization: Bearer good")
    assert.deepStrictEqual({ body, status }, { body: "good", status: 200 })
  }
})

layer(HttpRouter.serve(Routes, serve).pipe(Layer.provideMerge(NodeHttpServer.layerTest)))(
  "BearerToken over a socket",
  (it) => {
    it.effect("accepts valid credentials, with the name of the header in any case", () =>
      Effect.gen(function* () {
        yield* nextGoodRequest
        for (const name of ["authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"]) {
          assert.strictEqual((yield* get("/fastapi", `${name}: bEARER abc`)).body, "abc")
        }
        assert.strictEqual((yield* get("/fastapi", "Authorization:Bearer abc")).body, "abc")
        assert.strictEqual((yield* get("/fastapi", "Authorization: \t Bearer   abc \t ")).body, "abc")
        assert.strictEqual((yield* get("/optional")).body, "anonymous")
        assert.strictEqual((yield* get("/optional", "Authorization: Bearer abc")).body, "user abc")
      })
    )

    const several: ReadonlyArray<readonly [title: string, lines: ReadonlyArray<string>]> = [
      ["two different ones", ["Authorization: Bearer one", "Authorization: Bearer two"]],
      ["two identical ones", ["Authorization: Bearer one", "Authorization: Bearer one"]],
      ["first Basic, then Bearer", ["Authorization: Basic dTpw", "Authorization: Bearer one"]],
      ["first Bearer, then Basic", ["Authorization: Bearer one", "Authorization: Basic dTpw"]],
      ["an empty first one", ["Authorization:", "Authorization: Bearer one"]],
      ["a blank first one", ["Authorization: \t ", "Authorization: Bearer one"]],
      ["an empty last one", ["Authorization: Bearer one", "Authorization:"]],
      ["three", ["Authorization: Bearer one", "Authorization: Bearer one", "Authorization: Bearer one"]],
      ["names in different cases", ["authorization: Bearer one", "AUTHORIZATION: Bearer two"]],
      ["names in odd cases", ["aUTHORIZATIOn: Bearer one", "AuThOrIzAtIoN: Bearer two"]],
      ["others between them", ["Authorization: Bearer one", "X-A: 1", "Accept: */*", "authorization: Bearer two"]],
      ["a malformed one and a good one", ["Authorization: Bearer a b", "Authorization: Bearer one"]]
    ]
    for (const [title, lines] of several) {
      it.effect(`refuses several Authorization headers: ${title}`, () =>
        Effect.gen(function* () {
          const bare = { status: 401, body: '{"detail":"Not authenticated"}' }
          for (const path of ["/layer", "/fastapi", "/optional"]) {
            const { body, headers, status } = yield* get(path, ...lines)
            assert.deepStrictEqual({ status, body }, bare, path)
            assert.include(`${headers}\r\n`, "\r\nwww-authenticate: bearer\r\n")
          }
          const { body, headers, status } = yield* get("/rfc6750", ...lines)
          assert.deepStrictEqual({ status, body }, { status: 400, body: '{"detail":"Malformed credentials"}' })
          assert.include(`${headers}\r\n`, '\r\nwww-authenticate: bearer error="invalid_request"\r\n')
          yield* nextGoodRequest
        })
      )
    }

    it.effect("refuses two credentials joined by a comma", () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Bearer one, Bearer two")).status, 400)
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Bearer one, Basic dTpw")).status, 400)
        assert.strictEqual((yield* get("/rfc6750", "Authorization: Basic dTpw, Bearer two")).status, 401)
        yield* nextGoodRequest
      })
    )

    it.effect("ignores tokens in the query, a form, a trailer, or a header with a similar name", () =>
      Effect.gen(function* () {
        const form = "access_token=abc"
        const head = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        for (const response of [
          yield* get("/fastapi?access_token=abc"),
          yield* get("/fastapi", "Authorization2: Bearer abc", "X-Authorization: Bearer abc"),
          yield* get("/fastapi", "Proxy-Authorization: Bearer abc", "Cookie: access_token=abc"),
          yield* send(
            `POST /fastapi ${head}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
          ),
          yield* send(
            `POST /fastapi ${head}Trailer: Authorization\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: Bearer abc\r\n\r\n`
          )
        ]) {
          assert.deepStrictEqual(
            { status: response.status, body: response.body },
            { status: 401, body: '{"detail":"Not authenticated"}' }
          )
        }
        yield* nextGoodRequest
      })
    )

    it.effect("never responds with 5xx to any byte at any position of the header", () =>
      Effect.gen(function* () {
        const fields = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).flatMap((byte) => [
          `Bearer ab${byte}cd`,
          `Bearer abcd${byte}`,
          `Bearer ${byte}abcd`,
          `Bea${byte}rer abcd`,
          byte
        ])
        yield* Effect.forEach(
          fields,
          Effect.fnUntraced(function* (field) {
            const { body, status } = yield* get("/fastapi", `Authorization: ${field}`)
            const shown = JSON.stringify(field)
            assert.include([200, 400, 401], status, shown)
            // Node removes spaces and tabs around a value.
            const expected = oracle(field.replace(/^[ \t]+|[ \t]+$/g, ""))
            if (status === 200) assert.deepStrictEqual(token(body), expected, shown)
            if (/^[\x20-\x7E\x80-\xFF]*$/.test(field))
              assert.strictEqual(status, "token" in expected ? 200 : 401, shown)
          }),
          { concurrency: 32 }
        )
        yield* nextGoodRequest
      })
    )

    for (const [title, lines] of [
      ["a folded line", ["Authorization: Bearer", " abc"]],
      ["a folded line in the middle of the token", ["Authorization: Bearer ab", "\tcd"]],
      ["a folded second credential", ["Authorization: Bearer abc,", " Basic dTpw"]],
      ["a bare CR", ["Authorization: Bearer a\rbc"]],
      ["a bare LF before another header", ["Authorization: Bearer abc\nAuthorization: Bearer def"]],
      ["NUL", ["Authorization: Bearer a\0bc"]],
      ["a blank before the colon", ["Authorization : Bearer abc"]],
      ["no colon", ["Authorization Bearer abc"]],
      ["UTF-8", ["Authorization: Bearer \xC3\xA9\xF0\x9F\x98\x80"]],
      ["a byte order mark", ["\xEF\xBB\xBFAuthorization: Bearer abc"]],
      ["a header over MaxLength", [`Authorization: Bearer ${"a".repeat(8200)}`]],
      ["a header over the limit of Node", [`Authorization: Bearer ${"a".repeat(50_000)}`]],
      ["many dots", [`Authorization: Bearer ${".".repeat(8000)}!`]],
      ["many blanks", [`Authorization: Bearer a${" ".repeat(8000)}b`]]
    ] as const) {
      it.effect(`refuses ${title} with 4xx, and serves the next valid request`, () =>
        Effect.gen(function* () {
          for (const path of ["/layer", "/fastapi", "/rfc6750", "/optional"]) {
            const response = yield* Effect.result(get(path, ...lines))
            // Node may reset the connection while the client still sends bytes. This is not a 5xx, either.
            if (Result.isFailure(response)) {
              assert.strictEqual(title, "a header over the limit of Node")
              continue
            }
            const { body, status } = response.success
            if (path === "/optional" && body === "anonymous") {
              assert.strictEqual(title, "a byte order mark")
              continue
            }
            assert.isAtLeast(status, 400, path)
            assert.isBelow(status, 500, path)
          }
          yield* nextGoodRequest
        })
      )
    }

    it.effect("accepts a header of exactly 8192 characters, and refuses a longer one", () =>
      Effect.gen(function* () {
        const longest = "a".repeat(8192 - "Bearer ".length)
        assert.strictEqual((yield* get("/rfc6750", `Authorization: Bearer ${longest}`)).body, longest)
        assert.strictEqual((yield* get("/layer", `Authorization: Bearer ${longest}`)).body, longest)
        assert.strictEqual((yield* get("/rfc6750", `Authorization: Bearer ${longest}a`)).status, 400)
        assert.strictEqual((yield* get("/layer", `Authorization: Bearer ${longest}a`)).status, 401)
      })
    )

    it.effect("keeps the tokens of concurrent requests apart", () =>
      Effect.gen(function* () {
        for (const path of ["/layer", "/fastapi"]) {
          const names = Array.from({ length: 100 }, (_, i) => `token-${i}`)
          const bodies = yield* Effect.forEach(
            names,
            (name) => Effect.map(get(path, `Authorization: Bearer ${name}`), ({ body }) => body),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(bodies, names)
        }
      })
    )

    it.effect("keeps the tokens of pipelined requests on one connection apart", () =>
      Effect.gen(function* () {
        const requests = Array.from(
          { length: 20 },
          (_, i) =>
            `GET /layer HTTP/1.1\r\nHost: localhost\r\n${i % 5 === 4 ? "" : `Authorization: Bearer token-${i}\r\n`}` +
            `${i === 19 ? "Connection: close\r\n" : ""}\r\n`
        )
        const { body, headers } = yield* send(requests.join(""))
        const bodies = Array.from(
          `${headers}\r\n\r\n${body}`.matchAll(/\r\n\r\n(token-\d+|\{"detail":"[A-Za-z ]+"\})/g),
          (match) => match[1]
        )
        assert.deepStrictEqual(
          bodies,
          requests.map((_, i) => (i % 5 === 4 ? '{"detail":"Not authenticated"}' : `token-${i}`))
        )
      })
    )
  }
)

layer(
  HttpRouter.serve(Routes, serve).pipe(
    Layer.provide(Layer.succeed(BearerToken.MaxLength, 10)),
    Layer.provideMerge(NodeHttpServer.layerTest)
  )
)("BearerToken.MaxLength of a served app", (it) => {
  it.effect("is the value provided to the server", () =>
    Effect.gen(function* () {
      for (const path of ["/layer", "/fastapi", "/rfc6750"]) {
        assert.strictEqual((yield* get(path, "Authorization: Bearer abc")).body, "abc", path)
        assert.include([400, 401], (yield* get(path, "Authorization: Bearer abcd")).status, path)
      }
    })
  )
})
