// @ts-check
import { BatchError, BatchFailed, BatchNotFound, Client } from "@org/batch-client"
import { ClientClosed, InvalidArgument, InvalidSetting, RateLimited, WaitTimeout } from "@org/batch-client"
import Fastify from "fastify"
import { Readable } from "node:stream"

/** What a failure is for our callers; any other one is between us and the API. */
const statuses = /** @type {const} */ ([
  [InvalidArgument, 400],
  [BatchNotFound, 404],
  [BatchFailed, 422],
  [RateLimited, 429],
  [InvalidSetting, 500],
  [ClientClosed, 503],
  [WaitTimeout, 504]
])

const app = Fastify({ logger: true })

// One client, and so one throttle, for all requests. It ends what they wait for before the server waits for them.
const client = new Client()
app.addHook("preClose", () => client.close())

app.get("/batches/:id/rows", async (request, reply) => {
  const { id } = /** @type {{ id: string }} */ (request.params)
  const gone = new AbortController()
  reply.raw.on("close", () => gone.abort())
  const rows = client.records(id, { timeout: "10m", signal: gone.signal })
  // What fails before the first row has a status; behind it, the connection breaks.
  const first = await rows.next()
  const lines = async function* () {
    for (let next = first; !next.done; next = await rows.next()) yield `${JSON.stringify(next.value)}\n`
  }
  return reply.type("application/x-ndjson").send(Readable.from(lines()))
})

app.setErrorHandler((error, request, reply) => {
  if (reply.raw.destroyed) return reply.hijack()
  if (!(error instanceof BatchError)) return reply.send(error)
  const [, status] = statuses.find(([type]) => error instanceof type) ?? [undefined, 502]
  if (status >= 500) request.log.error(error)
  if (error instanceof RateLimited) reply.header("retry-after", Math.ceil(error.retryAfterSeconds))
  return reply.code(status).send({ type: error.name, message: error.message })
})

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.once(signal, () => app.close())

await app.listen({ host: "127.0.0.1", port: Number(process.env["PORT"] ?? 8080) })
