/**
 * The usage events of the account: one for each request, and one for the credits of each job that completed.
 */
import { Clock, Effect } from "effect"
import type { Incoming } from "./Incoming.js"
import * as Problem from "./Problem.js"
import * as RequestLog from "./RequestLog.js"
import * as Seed from "./Seed.js"

/** What happened. */
export interface Entry {
  /** The `X-Request-Id` of the answer. */
  readonly id: string
  /** When the request was made, or the job completed; epoch milliseconds. */
  readonly at: number
  /** `batch` for the credits of a job. */
  readonly surface: "api" | "batch"
  readonly method: string
  /** The path. */
  readonly endpoint: string
  /** The HTTP status. */
  readonly status: number
  readonly credits: number
  readonly results: number
  readonly problem: Problem.Problem | undefined
  /** The request itself, and its body; none for the credits of a job. */
  readonly request: { readonly incoming: Incoming; readonly body: string | undefined } | undefined
}

/** An event as the list shows it. */
export interface Event {
  readonly event_id: string
  readonly ts: string
  readonly team_id: string
  readonly user_id: string
  readonly api_key_id: string
  readonly client_surface: string
  readonly method: string
  readonly endpoint: string
  readonly product: string
  readonly status: number
  readonly credits_used: number
  readonly results: number
  readonly error_type: string | null
  readonly cost_components: ReadonlyArray<never>
}

/** What is kept of an event. */
export interface Kept {
  readonly entry: Entry
  readonly event: Event
  readonly visibleAt: number
}

/** The last 10,000 events, in memory, with the last 64 MiB of bodies. */
export interface Usage {
  readonly record: (entry: Entry) => Effect.Effect<void>
  /** Those that can be seen by now, newest first. */
  readonly visible: Effect.Effect<ReadonlyArray<Kept>>
  /** An event with its request: headers, query and body as they were sent. */
  readonly detail: (kept: Kept) => unknown
}

/** How events are shown. */
export interface Options {
  readonly seed: number
  /** How long after its answer a request can be seen. */
  readonly delayMs: number
  /** Longer bodies are not kept: `null`. */
  readonly bodyBytes: number
}

const capacity = 10_000
const bodiesCapacity = 64 * 1024 * 1024

/** Make an empty log of events. */
export const make = ({ bodyBytes, delayMs, seed }: Options): Effect.Effect<Usage> =>
  Effect.sync(() => {
    const log: Array<Kept> = []
    const bodies = new Map<string, string>()
    let held = 0

    const keepBody = (id: string, body: string) => {
      if (Buffer.byteLength(body) > bodyBytes) return
      bodies.set(id, body)
      held += body.length
      for (const [oldest, text] of bodies) {
        if (held <= bodiesCapacity) break
        bodies.delete(oldest)
        held -= text.length
      }
    }

    return {
      record: (entry) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const { request, ...rest } = entry
          if (request?.body !== undefined) keepBody(entry.id, request.body)
          const bare = request === undefined ? undefined : { incoming: request.incoming, body: undefined }
          log.push({
            entry: { ...rest, request: bare },
            event: show(seed, entry),
            visibleAt: (entry.surface === "batch" ? entry.at : now) + delayMs
          })
          if (log.length > capacity) log.shift()
        }),
      visible: Effect.map(Clock.currentTimeMillis, (now) =>
        log
          .filter(({ visibleAt }) => visibleAt <= now)
          .toReversed()
          .toSorted((a, b) => b.entry.at - a.entry.at)
      ),
      detail: ({ entry, event }) => ({ ...event, ...requestOf(entry, bodies.get(entry.id)) })
    }
  })

const show = (seed: number, entry: Entry): Event => ({
  event_id: entry.id,
  ts: new Date(entry.at).toISOString().replace("Z", "+00:00"),
  team_id: Seed.uuid(seed, "team"),
  user_id: Seed.uuid(seed, "user"),
  api_key_id: Seed.uuid(seed, "api key"),
  client_surface: entry.surface,
  method: entry.method,
  endpoint: entry.endpoint,
  product: entry.endpoint.split("/")[1] ?? "",
  status: entry.status,
  credits_used: entry.credits,
  results: entry.results,
  error_type: entry.problem === undefined ? null : Problem.typeOf(entry.problem),
  cost_components: []
})

const requestOf = ({ problem, request }: Entry, body: string | undefined) => ({
  request: {
    body: body === undefined ? null : parsed(body),
    query: Object.fromEntries(new URLSearchParams(request?.incoming.query)),
    path: batchIdIn(request?.incoming.path)
  },
  headers: RequestLog.redact(request?.incoming.headers ?? {}),
  response: problem === undefined ? null : Problem.body(problem)
})

const batchIdIn = (path = ""): Readonly<Record<string, string>> => {
  const id = /^\/batch\/([^/]+)$/.exec(path)?.[1]
  return id === undefined ? {} : { batch_id: id }
}

/** A body that is no JSON stays text. */
const parsed = (body: string): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return body
  }
}
