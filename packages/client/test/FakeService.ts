/** A service that speaks of retrievals and campaigns as its contract says, with a script for what goes wrong. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** What was asked. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage["headers"]
  readonly body: unknown
}

type Answer = (asked: Asked, response: ServerResponse) => void

/** A retrieval as it is on the wire. */
export const wire = (id: string, fields: object = {}) => ({
  retrieval_id: id,
  state: "waiting",
  batch_id: "01234567-89ab-4cde-8f01-23456789abcd",
  destination: { type: "folder", path: "rows.jsonl.gz" },
  format: "jsonl.gz",
  attempt: 1,
  progress: { status: null, result_count: 0, bytes: 0, total_bytes: null, records: 0 },
  receipt: null,
  error: null,
  created_at: "2026-11-28T18:00:00.000Z",
  updated_at: "2026-11-28T18:00:01.000Z",
  next_look_at: "2026-11-28T18:00:06.000Z",
  ...fields
})

/** A campaign as it is on the wire. */
export const wireOfCampaign = (id: string, fields: object = {}) => ({
  campaign_id: id,
  state: "waiting",
  name: "",
  kind: "company/enrich",
  as: "domains",
  input: { name: "the body", format: "lines", column: null, bytes: 9, sha256: "ab" },
  body: {},
  format: "jsonl.gz",
  join: false,
  max_active: 4,
  max_credits: null,
  attempt: 1,
  progress: {
    rows: null,
    unique: null,
    rejected: null,
    duplicates: null,
    jobs: { total: 0, waiting: 0, running: 0, completed: 0, fetched: 0, failed: 0, undecided: 0 },
    records: 0,
    credits: { at_most: null, balance: null },
    notice: null
  },
  report: null,
  error: null,
  created_at: "2026-11-28T18:00:00.000Z",
  updated_at: "2026-11-28T18:00:01.000Z",
  ...fields
})

/** Answers JSON. */
export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (_, response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(JSON.stringify(body))
  }

/** Answers an error in the service's shape. */
export const error = (
  status: number,
  type: string,
  message: string,
  metadata: object | null = null,
  headers: Record<string, string> = {}
): Answer => json(status, { error: { type, message, metadata } }, headers)

/** Answers pieces of an event stream, and then ends it or cuts it. */
export const events =
  (pieces: ReadonlyArray<string | Uint8Array>, end: "end" | "cut" | "open" = "end"): Answer =>
  (_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    for (const piece of pieces) response.write(piece)
    if (end === "end") response.end()
    if (end === "cut") setTimeout(() => response.destroy(), 50)
  }

/** Breaks the connection without an answer. */
export const broken: Answer = (_, response) => response.destroy()

/** A running service that gives its answers in their order, and 500 when there is none left. */
export const start = async () => {
  const asked: Array<Asked> = []
  const answers: Array<Answer> = []
  const server = createServer((request, response) => {
    const parts: Array<Buffer> = []
    request.on("data", (part: Buffer) => parts.push(part))
    request.on("end", () => {
      const text = Buffer.concat(parts).toString()
      const one: Asked = {
        method: request.method ?? "",
        url: request.url ?? "",
        headers: request.headers,
        body:
          request.headers["content-type"] === "application/json" && text !== ""
            ? JSON.parse(text)
            : text || undefined
      }
      asked.push(one)
      const answer = answers.shift() ?? error(500, "NoScript", "nothing is scripted")
      answer(one, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address: AddressInfo | string | null = server.address()
  if (address === null || typeof address === "string") throw new Error("it does not listen")
  return {
    url: `http://127.0.0.1:${address.port}`,
    asked,
    /** What comes next. */
    script: (...more: ReadonlyArray<Answer>) => {
      asked.length = 0
      answers.splice(0, answers.length, ...more)
    },
    left: () => answers.length,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
