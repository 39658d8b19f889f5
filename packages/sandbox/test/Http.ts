/**
 * A plain client for the tests: it sends what it is told and tells how the answer ended.
 */
import { Effect, Schema } from "effect"
import { request } from "node:http"

/** An answer, and whether it ended as promised (`whole`) or with an error code. */
export interface Outcome {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly ended: string
}

export interface Options {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
  /** Give up reading after so many milliseconds without a byte. */
  readonly idleMs?: number
}

/** Send a request over a connection of its own. */
export const send = (url: string, options: Options = {}): Effect.Effect<Outcome> =>
  Effect.async((resume) => {
    const chunks: Array<Buffer> = []
    let head = { status: 0, headers: {} }
    const finish = (ended: string) => {
      outgoing.destroy()
      resume(Effect.succeed({ ...head, body: Buffer.concat(chunks), ended }))
    }
    const { body, headers = {}, idleMs = 60_000, method = body === undefined ? "GET" : "POST" } = options
    const outgoing = request(url, { method, headers, agent: false }, (response) => {
      const flat = Object.entries(response.headers).map(([name, value]) => [name, String(value)])
      head = { status: response.statusCode ?? 0, headers: Object.fromEntries(flat) }
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () => finish(response.complete ? "whole" : "incomplete"))
      response.on("error", (error) => finish(codeOf(error)))
    })
    outgoing.setTimeout(idleMs, () => finish("idle"))
    outgoing.on("error", (error) => finish(codeOf(error)))
    outgoing.end(body === undefined || typeof body === "string" ? body : JSON.stringify(body))
  })

/** The JSON of an answer, as a schema has it. */
export const json =
  <A, I>(schema: Schema.Schema<A, I>) =>
  ({ body }: Outcome): Effect.Effect<A> =>
    Effect.orDie(Schema.decodeUnknown(Schema.parseJson(schema))(body.toString()))

/** What the tests read of a status answer. */
export const Status = Schema.Struct({
  batch_id: Schema.String,
  status: Schema.String,
  entity: Schema.String,
  action: Schema.String,
  identifier_count: Schema.Int,
  result_count: Schema.Int,
  entities_requested: Schema.Int,
  entities_fulfilled: Schema.Int,
  created_at: Schema.String,
  completed_at: Schema.NullOr(Schema.String),
  error_message: Schema.optional(Schema.String),
  download_url: Schema.optional(Schema.String),
  download_urls: Schema.optional(Schema.Array(Schema.String))
})

/** The envelope of API errors. */
export const Failure = Schema.Struct({
  error: Schema.Struct({
    type: Schema.String,
    message: Schema.String,
    metadata: Schema.Record({ key: Schema.String, value: Schema.Unknown })
  })
})

/** The headers the API wants. */
export const bearer = { authorization: "Bearer sandbox-key" }

/** The status of a job. */
export const status = (baseUrl: string, id: string): Effect.Effect<typeof Status.Type> =>
  Effect.flatMap(send(`${baseUrl}/batch/${id}`, { headers: bearer }), json(Status))

const codeOf = (error: Error): string => ("code" in error ? String(error.code) : error.message)
