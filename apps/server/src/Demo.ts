/**
 * The entry point of the demo, `pnpm serve:demo`: the service over a sandbox in the same process, to try it without a key.
 */
import * as Network from "@org/batch-node/Network"
import { Sandbox } from "@org/batch-sandbox"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { createServer } from "node:net"
import * as Logging from "./Logging.js"
import * as ProcessExit from "./ProcessExit.js"
import * as Server from "./Server.js"
import * as Settings from "./Settings.js"
import * as Tracing from "./Tracing.js"

/** The port if it is free, else any free one. Another process may still take it before the service does. */
const free = (port: number): Effect.Effect<number> =>
  Effect.async((resume) => {
    const probe = createServer()
    probe.once("error", () => resume(free(0)))
    probe.listen(port, "127.0.0.1", () => {
      const address = probe.address()
      const found = typeof address === "object" && address !== null ? address.port : port
      probe.close(() => resume(Effect.succeed(found)))
    })
  })

/** The service over the sandbox. It polls often, since the job takes seconds; it uses no proxy, since all is on this machine. */
const service = (port: number, { apiKey, baseUrl }: Sandbox.Service) => {
  const settings = new Map([
    ["PORT", String(port)],
    ["CRUSTDATA_BASE_URL", baseUrl],
    ["CRUSTDATA_API_KEY", apiKey],
    ["BATCH_POLL_INITIAL_DELAY", "1s"],
    ["BATCH_POLL_MAX_DELAY", "3s"],
    ["BATCH_POLL_MIN_DELAY", "500ms"]
  ])
  return Server.layer({}).pipe(
    Layer.provide(Layer.merge(Logging.layer(process.stdout.isTTY === true), Tracing.layer)),
    Layer.provide(Settings.layer),
    Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(settings, { pathDelim: "_" })))
  )
}

const failed = ({ detail }: Sandbox.SandboxError) =>
  Effect.zipRight(
    Console.error(`error: the batch API of the demo: ${detail}`),
    new ProcessExit.ExitWithCode({ code: 9 })
  )

/** The printed line with an address, and the reason if it is not on the usual port. */
const place = (name: string, url: string, wanted: number): string =>
  `  ${name.padEnd(9)}  ${url}${new URL(url).port === String(wanted) ? "" : `  (${wanted} is taken)`}`

const wanted = { service: 8787, api: 8788 }

/** The batch API, on its port or any free one. */
const api = Effect.catchIf(
  Sandbox.start({ port: wanted.api }),
  ({ reason }) => reason === "Listen",
  () => Sandbox.start()
)

/** Starts the service on its port or any free one; gives the port. */
const listening = (sandbox: Sandbox.Service) =>
  Effect.flatMap(free(wanted.service), (port) => Effect.as(Layer.build(service(port, sandbox)), port)).pipe(
    Effect.retry({ times: 9, while: ({ _tag }) => _tag === "ServeError" })
  )

const program = Effect.gen(function* () {
  const sandbox = yield* api
  const over = yield* sandbox.createJob({ pendingMs: 0, processingMs: 0, records: 250, unresolved: 12 })
  const port = yield* listening(sandbox)
  const running = yield* sandbox.createJob({
    pendingMs: 3_000,
    processingMs: 27_000,
    records: 1_000,
    parts: 1
  })
  const url = `http://127.0.0.1:${port}`
  const curl = Network.proxiesSet(process.env).length === 0 ? "curl" : "curl --noproxy 127.0.0.1"
  const lines = [
    "batch-server demo: the service over a batch API on this machine, until Ctrl-C\n",
    place("service", url, wanted.service),
    place("batch API", sandbox.baseUrl, wanted.api),
    "\nTry in another terminal:\n",
    "# a job that runs for half a minute",
    `${curl} -s ${url}/batch/${running}`,
    "# whatever happens to it, until it has ended",
    `${curl} -sN ${url}/batch/${running}/events`,
    "# the records of another one that has ended already; here, the beginnings of the last three",
    `${curl} -s ${url}/batch/${over}/results | tail -n 3 | cut -c 1-80`,
    `\nA browser shows the jobs at ${url}/ and all paths at ${url}/docs. Requests are logged here.\n`
  ]
  yield* Console.log(lines.join("\n"))
  return yield* Effect.never
}).pipe(Effect.catchTag("SandboxError", failed), Effect.scoped)

ProcessExit.run(process, program)
