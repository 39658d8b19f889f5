import { HttpClient, type HttpClientError } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Effect, Predicate, type Scope } from "effect"
import * as Http from "node:http"
import { explain } from "@org/batch-core/BatchHttp"
import * as Network from "../src/Network.js"

const get = (url: string, options: Partial<Network.Options> = {}) =>
  HttpClient.get(url).pipe(
    Effect.flatMap(({ text }) => text),
    Effect.scoped,
    Effect.provide(Network.layer({ variables: {}, ...options }))
  )

it.scopedLive("fetches from wherever it is, unless told otherwise", () =>
  Effect.gen(function* () {
    const port = yield* serve
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
        yield* environment(variables)
        const url = `http://${host}:${yield* serve}/`
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

// ----------------------------------------------------------------------------------------------------------------

/** The port of a server on every address of this machine's loopback. */
const serve: Effect.Effect<number, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.async<Http.Server>((resume) => {
      const server = Http.createServer((_, response) => response.end("hello"))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  ),
  (server) => {
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }
)

/** The library that chooses proxies reads the environment of the process. */
const environment = (variables: Readonly<Record<string, string>>) =>
  Effect.acquireRelease(
    Effect.sync(() => Object.assign(process.env, variables)),
    () => Effect.sync(() => Object.keys(variables).forEach((name) => delete process.env[name]))
  )

const codeOf = (error: HttpClientError.HttpClientError): unknown =>
  Predicate.hasProperty(error.cause, "code") ? error.cause.code : error.cause
