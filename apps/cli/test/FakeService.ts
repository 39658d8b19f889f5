/** A service that keeps retrievals as its contract says, in this process; scripted where something is to go wrong. */
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"

/** A retrieval on the wire. */
export interface Wire {
  readonly retrieval_id: string
  readonly state: string
  readonly [name: string]: unknown
}

/** A retrieval that waits. */
export const wire = (id: string, fields: object = {}): Wire => ({
  retrieval_id: id,
  state: "waiting",
  batch_id: "01234567-89ab-4cde-8f01-23456789abcd",
  destination: { type: "folder", path: "rows.jsonl.gz" },
  format: "jsonl.gz",
  attempt: 1,
  progress: { status: "processing", result_count: 3, bytes: 0, total_bytes: null, records: 0 },
  receipt: null,
  error: null,
  created_at: "2026-11-28T18:00:00.000Z",
  updated_at: "2026-11-28T18:00:01.000Z",
  next_look_at: "2026-11-28T18:00:06.000Z",
  ...fields
})

/** What was asked. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly authorization: string | undefined
  readonly body: unknown
}

/** What is answered: a status, and a body as JSON; status 0 breaks the connection. */
export type Answer = readonly [status: number, body?: unknown]

/** A refusal in the service's shape. */
export const refusal = (status: number, type: string, message: string): Answer => [
  status,
  { error: { type, message, metadata: null } }
]

/** A service that answers what `answer` says, and ends with the scope. */
export const start = (
  answer: (asked: Asked) => Answer
): Effect.Effect<{ readonly url: string; readonly asked: ReadonlyArray<Asked> }, never, Scope.Scope> =>
  Effect.gen(function* () {
    const asked: Array<Asked> = []
    const server = createServer((request, response) => {
      let text = ""
      request.on("data", (part: Buffer) => (text += part.toString()))
      request.on("end", () => {
        const one: Asked = {
          method: request.method ?? "",
          url: request.url ?? "",
          authorization: request.headers.authorization,
          body: text === "" ? undefined : JSON.parse(text)
        }
        asked.push(one)
        const [status, body] = answer(one)
        if (status === 0) response.destroy()
        else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body))
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.promise(
          () =>
            new Promise<void>((resolve) => {
              server.close(() => resolve())
              server.closeAllConnections()
            })
        )
    )
    const address = server.address()
    if (address === null || typeof address === "string") return yield* Effect.dieMessage("it does not listen")
    return { url: `http://127.0.0.1:${address.port}`, asked }
  })
