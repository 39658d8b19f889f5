import { describe, expect, it, layer } from "@effect/vitest"
import { Effect, Exit, type Scope } from "effect"
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Caller from "./Caller.js"
import { daemon, freePort, isThere, run } from "./Programs.js"
import { eventually, layer as service, nobody, over, Service, start, temporary } from "./Service.js"

/** More than the 256 KiB that a connection without backpressure lets through. */
const long = { ...over, records: 1000, members: 5 }

const results = `batch_server_open_streams{kind="results"}`

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Reads with the session as it comes: it offers gzip, and inflates by itself. */
const python = `
import sys, requests
with requests.Session() as session:
    for url in sys.argv[1:]:
        with session.get(url, stream=True) as response:
            response.raise_for_status()
            assert response.headers["content-encoding"] == "gzip"
            for chunk in response.iter_content(65536):
                sys.stdout.buffer.write(chunk)
`

layer(service(), { excludeTestServices: true })("results arrive whole at", (it) => {
  for (const [name, needs, program, args] of [
    ["Java's HttpClient", isThere("java", ["-version"]), "java", [file("Read.java")]],
    [
      "curl --http2",
      isThere("curl", ["--version"], /HTTP2/u),
      "curl",
      ["--silent", "--show-error", "--fail", "--http2"]
    ],
    [
      "curl --compressed",
      isThere("curl", ["--version"], /libz/u),
      "curl",
      ["--silent", "--show-error", "--fail", "--compressed"]
    ],
    ["Python's requests", isThere("python3", ["-c", "import requests"]), "python3", ["-c", python]],
    ["Go's http.Get", isThere("go", ["version"]), "go", ["run", file("Read.go")]]
  ] as const) {
    it.effect(name, (context) =>
      Effect.gen(function* () {
        if (!(yield* needs)) return context.skip(`${program} is not there, or cannot do this`)
        const { get, metric, port, sandbox } = yield* Service
        const id = yield* sandbox.createJob(long)
        const { body } = yield* get(`/batch/${id}/results`)
        const url = `http://127.0.0.1:${port}/batch/${id}/results`
        const { code, stdout } = yield* run(program, [...args, url, url])
        expect([code, digest(stdout)]).toEqual([0, digest(Buffer.concat([body, body]))])
        yield* eventually(metric(results), (open) => open === 0)
      })
    )
  }

  it.effect("all of them, and none keeps the service from its end", () =>
    Effect.gen(function* () {
      const { kill, outcome } = yield* Service
      yield* kill("SIGTERM")
      expect((yield* Effect.timeout(outcome, "60 seconds")).code).toBe(143)
    })
  )
})

const nginx = (port: number, to: number): string => `
daemon off; master_process off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server { listen 127.0.0.1:${port}; location / { proxy_pass http://127.0.0.1:${to}; proxy_set_header Host localhost; } }
}
`

const haproxy = (port: number, to: number): string => `
defaults
  mode http
  option abortonclose
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:${port}
  http-request set-header Host localhost
  default_backend service
backend service
  server one 127.0.0.1:${to}
`

describe("events come one by one, and results whole, through", () => {
  for (const [name, needs, configure, args] of [
    ["nginx", isThere("nginx", ["-v"]), nginx, (path: string) => ["-p", join(path, ".."), "-c", path]],
    ["haproxy", isThere("haproxy", ["-v"]), haproxy, (path: string) => ["-db", "-f", path]]
  ] as const) {
    it.scopedLive(name, (context) =>
      Effect.gen(function* () {
        if (!(yield* needs)) return context.skip(`${name} is not there`)
        const { get, metric, port, sandbox } = yield* start()
        const proxy = yield* freePort
        const config = join(yield* temporary, "proxy.conf")
        writeFileSync(config, configure(proxy, port))
        yield* daemon(name, args(config))
        const ask = (path: string, headers = {}) => Caller.ask(proxy, path, { headers })
        yield* eventually(Effect.exit(up(proxy)), Exit.isSuccess)

        const id = yield* sandbox.createJob({ stuck: true })
        const stream = yield* Caller.open(proxy, `/batch/${id}/events`)
        expect(stream.headers["content-type"]).toBe("text/event-stream")
        yield* stream.until(/event: status\n.*\n\n/u)
        yield* sandbox.job(id).complete
        const { body, broken } = yield* stream.whole
        expect(broken).toBeUndefined()
        const text = body.toString()
        expect([...text.matchAll(/^event: (.*)$/gmu)].map(([, event]) => event)).toEqual([
          "status",
          "status",
          "end"
        ])
        const last = [...text.matchAll(/^id: (.*)$/gmu)].at(-1)?.[1] ?? ""
        expect((yield* ask(`/batch/${id}/events`, { "last-event-id": last })).status).toBe(204)
        expect((yield* ask(`/batch/${nobody}/events`)).status).toBe(404)

        const job = yield* sandbox.createJob(long)
        const direct = yield* get(`/batch/${job}/results`)
        const through = yield* ask(`/batch/${job}/results`)
        expect([through.broken, through.body.equals(direct.body)]).toEqual([undefined, true])

        // Who goes away behind the proxy is gone here, too.
        const open = metric(`batch_server_open_streams{kind="events"}`)
        const left = yield* Caller.open(proxy, `/batch/${yield* sandbox.createJob({ stuck: true })}/events`)
        yield* left.until(/event: status/u)
        expect(yield* open).toBe(1)
        yield* left.leave
        yield* eventually(open, (now) => now === 0)
      })
    )
  }
})

it.scopedLive("promtool finds no fault with the metrics", (context) =>
  Effect.gen(function* () {
    if (!(yield* isThere("promtool", ["--version"]))) return context.skip("promtool is not there")
    const { get, sandbox } = yield* start()
    const id = yield* sandbox.createJob(over)
    for (const path of [
      `/batch/${id}/results`,
      `/batch/${id}/events`,
      `/batch/${id}/wait`,
      `/batch/${nobody}`
    ])
      yield* get(path)
    const { body } = yield* get("/metrics")
    expect(body.toString()).toMatch(/^batch_server_build_info\{version="0\.0\.0",node_version=".*"\} 1$/mu)
    const { code, stdout } = yield* run("promtool", ["check", "metrics"], body.toString())
    expect([code, stdout.toString()]).toEqual([0, ""])
  })
)

// ----------------------------------------------------------------------------------------------------------------

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/** Fails until something listens on the port and passes a request on. */
const up = (port: number): Effect.Effect<void, Error, Scope.Scope> =>
  Effect.tryPromise({
    try: async () => {
      const { ok, status } = await fetch(`http://127.0.0.1:${port}/health`)
      if (!ok) throw new Error(`HTTP ${status}`)
    },
    catch: (error) => new Error(String(error))
  })
