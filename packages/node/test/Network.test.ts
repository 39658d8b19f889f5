import { HttpClient, type HttpClientError, HttpClientRequest, HttpIncomingMessage } from "@effect/platform"
import { describe, expect, it, vi } from "@effect/vitest"
import { Effect, Layer, Option, Predicate, type Scope, Stream } from "effect"
import * as Http from "node:http"
import * as Net from "node:net"
import { explain } from "@org/batch-core/BatchHttp"
import * as Network from "../src/Network.js"

const execute = (request: HttpClientRequest.HttpClientRequest, options: Partial<Network.Options> = {}) =>
  HttpClient.execute(request).pipe(
    Effect.flatMap(({ text }) => text),
    Effect.scoped,
    Effect.provide(Layer.orDie(Network.layer({ variables: {}, ...options })))
  )

const get = (url: string, options: Partial<Network.Options> = {}) =>
  execute(HttpClientRequest.get(url), options)

it.scopedLive("fetches from wherever it is, unless told otherwise", () =>
  Effect.gen(function* () {
    const port = yield* serve("hello")
    expect(yield* get(`http://127.0.0.1:${port}/`)).toBe("hello")
    expect(yield* get(`http://localhost:${port}/`, { publicExcept: "localhost" })).toBe("hello")
    expect(yield* get(`http://127.0.0.1:${port}/`, { publicExcept: "127.0.0.1" })).toBe("hello")
  })
)

for (const way of ["directly", "past a proxy"]) {
  const variables =
    way === "directly" ? {} : { HTTP_PROXY: "http://127.0.0.1:9", NO_PROXY: "127.0.0.1,localhost,[::1]" }
  for (const host of ["127.0.0.1", "localhost", "[::1]", "0x7f.1"]) {
    it.scopedLive(`no connection is made to ${host} when only public addresses are allowed, ${way}`, () =>
      Effect.gen(function* () {
        const url = `http://${host}:${yield* serve("hello")}/`
        const error = yield* Effect.flip(get(url, { variables, publicExcept: "api.example.test" }))
        expect(codeOf(error)).toBe("EPRIVATE")
        expect(explain(error)).toMatchObject({ retryable: false })
        expect(explain(error).detail).toContain("private address")
      })
    )
  }
}

it("tells which proxy variables are set", () => {
  expect(Network.proxiesSet({ HTTPS_PROXY: "http://p", http_proxy: "", PATH: "/bin" })).toEqual([
    "HTTPS_PROXY"
  ])
})

describe("a request", () => {
  const target = "/b//it's/./a%2bb|{c}.gz?X-Amz-Signature='1'+/==&x"

  it.scopedLive("asks for the link byte for byte, directly and through a proxy", () =>
    Effect.gen(function* () {
      const { heads, port } = yield* peer(ok)
      expect(yield* get(`http://127.0.0.1:${port}${target}#fragment`)).toBe("ok")
      const variables = { HTTP_PROXY: `127.0.0.1:${port}` }
      expect(yield* get(`http://Host.test:80${target}`, { variables })).toBe("ok")
      expect(yield* get(`http://host.test:8080${target}`, { variables })).toBe("ok")
      expect(heads.map((head) => head.split("\r\n")[0])).toEqual([
        `GET ${target} HTTP/1.1`,
        `GET http://host.test${target} HTTP/1.1`,
        `GET http://host.test:8080${target} HTTP/1.1`
      ])
      expect(heads[0]).toContain(`\r\nHost: 127.0.0.1:${port}\r\n`)
      expect(heads[1]).toMatch(/\r\nhost: host\.test\r\n/iu)
      expect(heads[2]).toMatch(/\r\nhost: host\.test:8080\r\n/iu)
    })
  )

  it.scopedLive("has parameters, headers and a body", () =>
    Effect.gen(function* () {
      const { heads, port } = yield* peer(ok)
      const base = HttpClientRequest.post(`http://127.0.0.1:${port}/a'b`)
      yield* execute(
        base.pipe(
          HttpClientRequest.setUrlParams({ q: "a b" }),
          HttpClientRequest.setHeader("x-one", "1"),
          HttpClientRequest.bodyText("four")
        )
      )
      yield* execute(
        HttpClientRequest.bodyStream(base, Stream.make(Buffer.from("fi"), Buffer.from("ve!")), {
          contentLength: 5
        })
      )
      const form = new FormData()
      form.set("name", "value")
      yield* execute(HttpClientRequest.bodyFormData(base, form))
      expect(heads[0]).toMatch(/^POST \/a'b\?q=a\+b HTTP\/1\.1\r\n.*x-one: 1\r\n.*content-length: 4\r\n/su)
      expect(heads[1]).toMatch(/^POST \/a'b HTTP\/1\.1\r\n.*content-length: 5\r\n/su)
      expect(heads[2]).toMatch(/content-type: multipart\/form-data/u)
    })
  )

  it.scopedLive("gives the response as Node's own stream, with all that a response has", () =>
    Effect.gen(function* () {
      const { port } = yield* peer(
        'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{"a":1}'
      )
      const client = yield* HttpClient.HttpClient
      const response = yield* HttpClient.withScope(client).get(`http://127.0.0.1:${port}/`)
      expect(Predicate.hasProperty(response, "source")).toBe(true)
      expect(response.status).toBe(201)
      expect(response.headers["content-type"]).toBe("application/json")
      expect(response.cookies.cookies).toHaveProperty("a")
      expect(response.remoteAddress).toEqual(Option.some("127.0.0.1"))
      expect(yield* response.json).toEqual({ a: 1 })
      const again = yield* HttpClient.withScope(client).get(`http://127.0.0.1:${port}/`)
      expect(new TextDecoder().decode(yield* again.arrayBuffer)).toBe('{"a":1}')
      const long = yield* HttpClient.withScope(client).get(`http://127.0.0.1:${port}/`)
      const cut = HttpIncomingMessage.withMaxBodySize(long.text, Option.some(3))
      expect(yield* Effect.flip(cut)).toMatchObject({ _tag: "ResponseError", reason: "Decode" })
    }).pipe(Effect.provide(Network.layerDirect))
  )

  it.scopedLive(
    "frees what it read from the connection, and nothing of the body that is copied out of it",
    () =>
      Effect.gen(function* () {
        const body = Buffer.from(
          Uint8Array.from({ length: 2_000_000 }, (_, at) => (at * 31 + (at >> 8)) % 251)
        )
        const url = `http://127.0.0.1:${yield* serve(body)}/`
        const client = HttpClient.withScope(yield* HttpClient.HttpClient)
        const sockets = new Set<Net.Socket>()
        for (let request = 0; request < 3; request++) {
          const response = yield* client.get(url)
          if (!hasSource(response)) throw new Error("the response is not Node's own stream")
          const { socket } = response.source
          const reads: Array<Uint8Array> = []
          const note = (bytes: Uint8Array) => void reads.push(bytes)
          socket.on("data", note)
          expect(body.equals(new Uint8Array(yield* response.arrayBuffer))).toBe(true)
          socket.off("data", note)
          expect(reads.length).toBeGreaterThan(2)
          expect(reads.filter((read) => read.length >= 16_384)).toEqual([])
          sockets.add(socket)
          expect(socket.listenerCount("data")).toBe(0)
        }
        expect(sockets.size).toBe(1)
      }).pipe(Effect.provide(Network.layerDirect))
  )

  it.scopedLive("takes headers of 60 KiB, and says so of longer ones than 64", () =>
    Effect.gen(function* () {
      const long = (size: number) =>
        peer(`HTTP/1.1 200 OK\r\nX-Long: ${"x".repeat(size)}\r\nContent-Length: 2\r\n\r\nok`)
      expect(yield* get(`http://127.0.0.1:${(yield* long(61_440)).port}/`)).toBe("ok")
      const error = yield* Effect.flip(get(`http://127.0.0.1:${(yield* long(70_000)).port}/`))
      expect(codeOf(error)).toBe("HPE_HEADER_OVERFLOW")
      expect(explain(error)).toMatchObject({ retryable: false })
      expect(explain(error).detail).toContain("headers of the answer are longer than 64 KiB")
    })
  )

  it.scopedLive(
    "gives every address of a host 2 s, of a proxy too: a round trip may be longer than Node's 250 ms",
    () =>
      Effect.gen(function* () {
        const connect = vi.spyOn(Net.Socket.prototype, "connect")
        yield* Effect.addFinalizer(() => Effect.sync(() => connect.mockRestore()))
        const port = yield* closedPort
        for (const scheme of ["http", "https"]) {
          for (const variables of [
            {},
            { ALL_PROXY: `localhost:${port}` },
            { ALL_PROXY: `https://localhost:${port}` }
          ]) {
            yield* Effect.flip(get(`${scheme}://localhost:${port}/`, { variables }))
          }
        }
        expect(connect.mock.calls.flat(2).filter(Predicate.hasProperty("host"))).toEqual(
          Array.from({ length: 6 }, () =>
            expect.objectContaining({ host: "localhost", autoSelectFamilyAttemptTimeout: 2_000 })
          )
        )
      })
  )

  it.scopedLive("that is interrupted ends its connection", () =>
    Effect.gen(function* () {
      const { heads, open, port } = yield* peer(undefined)
      const url = `http://127.0.0.1:${port}/`
      expect(yield* Effect.timeoutOption(get(url), "200 millis")).toEqual(Option.none())
      expect(heads).toHaveLength(1)
      yield* Effect.iterate(0, {
        while: () => open() > 0,
        body: () => Effect.as(Effect.sleep("10 millis"), 0)
      })
    })
  )
})

describe("a proxy", () => {
  const secret = "hunter2"

  for (const scheme of ["http", "https"]) {
    it.scopedLive(`that cannot be reached is named, not the host behind it (${scheme})`, () =>
      Effect.gen(function* () {
        const variables = { ALL_PROXY: `http://me:${secret}@127.0.0.1:${yield* closedPort}` }
        const error = yield* Effect.flip(get(`${scheme}://api.test/`, { variables }))
        expect(codeOf(error)).toBe("EPROXYUNREACHABLE")
        const { detail } = explain(error)
        expect(detail).toMatch(/the proxy 127\.0\.0\.1:\d+ cannot be reached \(ECONNREFUSED\)/u)
        expect(detail).not.toContain(secret)
        const unknown = yield* Effect.flip(
          get(`${scheme}://api.test/`, { variables: { ALL_PROXY: "proxy.invalid:3128" } })
        )
        expect(explain(unknown).detail).toMatch(/the proxy proxy\.invalid:3128 cannot be reached/u)
      })
    )

    it.scopedLive(`that refuses is named, with its status (${scheme})`, () =>
      Effect.gen(function* () {
        const { heads, port } = yield* peer(
          "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nno!!"
        )
        const variables = { ALL_PROXY: `http://me:${secret}@127.0.0.1:${port}` }
        const error = yield* Effect.flip(get(`${scheme}://api.test/x?q=1`, { variables }))
        expect(codeOf(error)).toBe("EPROXYREFUSED")
        const { detail } = explain(error)
        expect(detail).toContain(
          `the proxy 127.0.0.1:${port} refuses the connection (HTTP 407 Proxy Authentication Required)`
        )
        expect(detail).not.toContain(secret)
        const [line, ...headers] = (heads[0] ?? "").split("\r\n")
        expect(line).toBe(
          scheme === "http" ? "GET http://api.test/x?q=1 HTTP/1.1" : "CONNECT api.test:443 HTTP/1.1"
        )
        expect(headers.map((header) => header.toLowerCase())).toContain(
          `proxy-authorization: basic ${Buffer.from(`me:${secret}`).toString("base64").toLowerCase()}`
        )
        expect(headers.join()).not.toMatch(/connection: close/iu)
      })
    )
  }

  it.scopedLive("that breaks off before it answers to CONNECT is unreachable", () =>
    Effect.gen(function* () {
      const { port } = yield* peer("")
      const variables = { HTTPS_PROXY: `127.0.0.1:${port}` }
      const error = yield* Effect.flip(get("https://api.test/", { variables }))
      expect(codeOf(error)).toBe("EPROXYUNREACHABLE")
    })
  )

  it.scopedLive("that has connected is not blamed for the host behind it", () =>
    Effect.gen(function* () {
      const { port } = yield* peer("HTTP/1.1 200 Connection established\r\n\r\nthis is no TLS")
      const variables = { HTTPS_PROXY: `127.0.0.1:${port}` }
      const error = yield* Effect.flip(get("https://api.test/", { variables }))
      expect(codeOf(error)).not.toMatch(/^EPROXY/u)
    })
  )

  it.scopedLive("is not asked to pass a host on that must not be reached", () =>
    Effect.gen(function* () {
      const { heads, port } = yield* peer(ok)
      const variables = { HTTP_PROXY: `127.0.0.1:${port}` }
      const options = { variables, publicExcept: "api.test" }
      expect(codeOf(yield* Effect.flip(get("http://10.0.0.1/", options)))).toBe("EPRIVATE")
      expect(heads).toEqual([])
      expect(yield* get("http://api.test/", options)).toBe("ok")
    })
  )

  it.effect("setting that applies to the base URL and cannot be used is a failure before any request", () =>
    Effect.gen(function* () {
      const build = (baseUrl: string, variables: Network.Options["variables"]) =>
        Effect.either(
          Effect.scoped(
            Effect.asVoid(Effect.provide(HttpClient.HttpClient, Network.layer({ baseUrl, variables })))
          )
        )
      const problem = { left: { _tag: "ProxySettingError", setting: "ALL_PROXY" } }
      expect(yield* build("https://api.test", { ALL_PROXY: "socks5://p:1" })).toMatchObject(problem)
      expect(yield* build("http://api.test", { ALL_PROXY: "socks5://p:1" })).toMatchObject(problem)
      for (const variables of [
        { ALL_PROXY: "p:1" },
        { ALL_PROXY: "socks5://p:1", HTTPS_PROXY: "p:1" },
        { ALL_PROXY: "socks5://p:1", NO_PROXY: "api.test" }
      ]) {
        expect(yield* build("https://api.test", variables)).toMatchObject({ _tag: "Right" })
      }
      const variables = { ALL_PROXY: "socks5://p:1" }
      const error = yield* Effect.flip(get("http://files.test/", { variables }))
      expect(explain(error).detail).toContain("ALL_PROXY: socks5:// proxies cannot be used")
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const ok = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

interface Peer {
  readonly port: number
  /** The heads of the requests so far. */
  readonly heads: ReadonlyArray<string>
  /** How many connections are open. */
  readonly open: () => number
}

/** Answers every request in the same way, whatever it says; not at all if there is no answer. An empty one is an end. */
const peer = (answer: string | undefined): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Peer & { readonly close: () => void }>((resume) => {
      const heads: Array<string> = []
      const sockets = new Set<Net.Socket>()
      const server = Net.createServer((socket) => {
        let text = ""
        sockets.add(socket)
        socket.on("error", () => undefined).on("close", () => sockets.delete(socket))
        socket.setEncoding("latin1").on("data", (chunk) => {
          text += String(chunk)
          const end = text.indexOf("\r\n\r\n")
          if (end === -1) return
          heads.push(text.slice(0, end + 2))
          text = ""
          if (answer === "") socket.destroy()
          else if (answer !== undefined) socket.end(answer)
        })
      }).listen(0, "127.0.0.1", () => {
        const close = () => {
          server.close()
          sockets.forEach((socket) => socket.destroy())
        }
        resume(Effect.succeed({ port: portOf(server), heads, open: () => sockets.size, close }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const portOf = (server: Net.Server): number => {
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

/** A port on which nothing listens. */
const closedPort = Effect.scoped(Effect.map(peer(undefined), ({ port }) => port))

/** The port of a server on this machine's loopback. */
const serve = (body: string | Uint8Array): Effect.Effect<number, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<Http.Server>((resume) => {
        const server = Http.createServer((_, response) => response.end(body))
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ),
    portOf
  )

const hasSource = <R>(response: R): response is R & { readonly source: Http.IncomingMessage } =>
  Predicate.hasProperty(response, "source") && response.source instanceof Http.IncomingMessage

const codeOf = (error: HttpClientError.HttpClientError): unknown =>
  Predicate.hasProperty(error.cause, "code") ? error.cause.code : error.cause
