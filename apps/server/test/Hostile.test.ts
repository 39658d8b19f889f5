import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { problem } from "./Caller.js"
import { eventually, nobody, over, Service, layer as service } from "./Service.js"

const close = "Host: localhost\r\nConnection: close\r\n"

const paths = [
  "/batch",
  `/batch/${nobody}`,
  `/batch/${nobody}/wait`,
  `/batch/${nobody}/events`,
  `/batch/${nobody}/results`,
  "/health",
  "/ready",
  "/metrics",
  "/openapi.json",
  "/docs"
]

layer(service(), { excludeTestServices: true })("hostile input", (it) => {
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]) {
    it.effect(`${method} is 405 everywhere, and says what is allowed`, () =>
      Effect.gen(function* () {
        const { ask, sandbox } = yield* Service
        for (const path of paths) {
          const answer = yield* ask(path, { method })
          expect(problem(answer)).toMatchObject({ status: 405, type: "MethodNotAllowed" })
          expect(answer.headers.allow).toBe("GET, HEAD")
        }
        expect((yield* ask("/elsewhere", { method })).status).toBe(404)
        expect((yield* sandbox.requests).filter(({ method }) => method !== "GET")).toEqual([])
      })
    )
  }

  for (const path of [
    "/",
    "/batch/../metrics",
    "/batch/%2e%2e/metrics",
    `/batch/${nobody}/results/../../../metrics`,
    `/batch/${nobody}/%72esult`,
    `/batch/${nobody}/wait/more`,
    "/docs/../metrics",
    "/metrics/x",
    "/constructor",
    "/__proto__",
    "/\\batch",
    "*",
    `/${"a".repeat(15_000)}`
  ]) {
    it.effect(`404 for ${path.slice(0, 60)}`, () =>
      Effect.gen(function* () {
        const { ask } = yield* Service
        expect(problem(yield* ask(path, {}))).toMatchObject({ status: 404, type: "NotFound" })
      })
    )
  }

  for (const path of [
    "/batch/%zz",
    "/batch/%",
    "/batch/%ff%fe/wait",
    "/batch/%00",
    `/batch/${nobody}%00`,
    `/batch/${nobody}%0d%0aX:1`,
    `/batch/${nobody}%2f..%2f..%2fmetrics`,
    "/batch/..%2fmetrics",
    "/batch/__proto__/wait",
    "/batch/constructor/results",
    `/batch/${"a".repeat(15_000)}`,
    `/batch?limit=${"1".repeat(15_000)}`,
    `/batch/${nobody}/wait?timeout=%00`,
    `/batch/${nobody}/wait?timeout=%zz`,
    `/batch/${nobody}/wait?timeout=1&timeout=1`,
    `/batch/${nobody}/results?wait=1&wait=1`,
    "/batch?cursor=a&cursor=b"
  ]) {
    it.effect(`400 for ${path.slice(0, 80)}`, () =>
      Effect.gen(function* () {
        const { ask, sandbox } = yield* Service
        const before = (yield* sandbox.requests).length
        expect(problem(yield* ask(path, {}))).toMatchObject({ status: 400, type: "RequestRejected" })
        expect(yield* sandbox.requests).toHaveLength(before)
      })
    )
  }

  it.effect("slashes that are doubled or left over lead to the same place, past the same checks", () =>
    Effect.gen(function* () {
      const { ask, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      for (const path of [`//batch//${id}`, `/batch/${id}/`, `/batch/${id}//wait`]) {
        expect([path, (yield* ask(path, {})).status]).toEqual([path, 200])
        expect([path, (yield* ask(path, { headers: { host: "evil.example" } })).status]).toEqual([path, 403])
      }
    })
  )

  for (const [name, status, ...texts] of [
    ["headers of more than 16 KiB", 431, `GET /batch HTTP/1.1\r\n${close}X: ${"a".repeat(17_000)}\r\n\r\n`],
    ["a URL of more than 16 KiB", 431, `GET /${"a".repeat(17_000)} HTTP/1.1\r\n${close}\r\n`],
    [
      "a body in chunks",
      413,
      `POST /batch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`
    ],
    ["a large body", 413, `GET /batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n`],
    ["a small body", 200, `GET /batch HTTP/1.1\r\n${close}Content-Length: 5\r\n\r\nhello`],
    ["a length below zero", 400, `GET /batch HTTP/1.1\r\n${close}Content-Length: -5\r\n\r\nhello`],
    [
      "two lengths",
      400,
      `GET /batch HTTP/1.1\r\n${close}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`
    ],
    [
      "a length and chunks",
      400,
      `POST /batch HTTP/1.1\r\n${close}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`
    ],
    ["HTTP/1.0", 200, "GET /batch HTTP/1.0\r\nHost: localhost\r\n\r\n"],
    ["no host", 400, "GET /batch HTTP/1.1\r\nConnection: close\r\n\r\n"],
    ["two hosts", 400, `GET /batch HTTP/1.1\r\n${close}Host: evil.example\r\n\r\n`],
    ["the same host twice", 400, `GET /health HTTP/1.1\r\n${close}Host: localhost\r\n\r\n`],
    ["an expectation", 417, `GET /health HTTP/1.1\r\n${close}Expect: the-unexpected\r\n\r\n`],
    ["a method that nobody knows", 400, `BREW /batch HTTP/1.1\r\n${close}\r\n`],
    ["a null byte in the path", 400, `GET /batch/\0 HTTP/1.1\r\n${close}\r\n`],
    ["a null byte in a header", 400, `GET /batch HTTP/1.1\r\n${close}X: a\0b\r\n\r\n`],
    ["a header name with a space", 400, `GET /batch HTTP/1.1\r\n${close}X Y: a\r\n\r\n`],
    ["a header that is folded", 400, `GET /batch HTTP/1.1\r\n${close}X: a\r\n b\r\n\r\n`],
    ["bare line feeds", 400, "GET /batch HTTP/1.1\nHost: localhost\nConnection: close\n\n"],
    ["a path without a slash", 400, `GET batch HTTP/1.1\r\n${close}\r\n`],
    ["the hello of TLS", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
    ["the preface of HTTP/2", 400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    [
      "an upgrade",
      200,
      `GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n`
    ]
  ] as const) {
    it.effect(`${name}: ${status}, and the connection ends`, () =>
      Effect.gen(function* () {
        const { logs, raw } = yield* Service
        const { received } = yield* raw(...texts)
        expect(received.slice(0, 13)).toBe(`HTTP/1.1 ${status} `)
        if (status === 200) return
        const [head = "", body = ""] = received.split("\r\n\r\n")
        expect(JSON.parse(body)).toEqual({
          error: { type: "RequestRejected", message: expect.stringMatching(/.{10,}/u), metadata: null }
        })
        expect(head).toContain("\r\nx-content-type-options: nosniff")
        const [, id] = /\r\nx-request-id: (\S+)/iu.exec(head) ?? []
        const lines = yield* eventually(
          Effect.map(logs, (all) => all.filter(({ request_id }) => request_id === id)),
          ({ length }) => length > 0
        )
        expect(lines).toEqual([
          expect.objectContaining({ status, error: expect.stringContaining("Rejected") })
        ])
      })
    )
  }

  it.effect("CONNECT leads nowhere", () =>
    Effect.gen(function* () {
      const { raw } = yield* Service
      expect((yield* raw(`CONNECT evil.example:443 HTTP/1.1\r\n${close}\r\n`)).received).toBe("")
    })
  )

  it.effect("requests in one go are answered in their order", () =>
    Effect.gen(function* () {
      const { raw } = yield* Service
      const { received } = yield* raw(
        `GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: first\r\n\r\nGET /nowhere HTTP/1.1\r\n${close}X-Request-Id: second\r\n\r\n`
      )
      expect(received.match(/HTTP\/1\.1 \d+|x-request-id: \w+/gu)).toEqual([
        "HTTP/1.1 200",
        "x-request-id: first",
        "HTTP/1.1 404",
        "x-request-id: second"
      ])
    })
  )

  it.effect("nothing of all this was taken for a bug, and the service goes on", () =>
    Effect.gen(function* () {
      const { get, logs, metric } = yield* Service
      expect((yield* get("/health")).status).toBe(200)
      expect((yield* logs).filter(({ level }) => level === "error")).toEqual([])
      expect(
        yield* metric(`batch_server_requests_total{route="other",method="GET",status="404"}`)
      ).toBeGreaterThan(10)
      expect(
        yield* metric(`batch_server_requests_total{route="other",method="-",status="400"}`)
      ).toBeGreaterThan(10)
      expect(yield* metric(`batch_server_requests_total{route="other",method="-",status="431"}`)).toBe(2)
      expect(yield* metric(`batch_server_requests_total{route="/health",method="GET",status="417"}`)).toBe(1)
    })
  )
})
