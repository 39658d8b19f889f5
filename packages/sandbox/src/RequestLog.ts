/**
 * The log of requests that arrived, for tests to assert on. The value of an `Authorization` header is never kept, only that there was one.
 */
import { Clock, Effect } from "effect"
import type { Server } from "./Fault.js"
import type { Incoming } from "./Incoming.js"

/** A request and what became of it. */
export interface RequestRecord {
  readonly server: Server
  readonly method: string
  readonly path: string
  readonly query: string
  /** Names in lower case; `authorization` reads `<redacted>`. */
  readonly headers: Readonly<Record<string, string>>
  /** When it arrived, epoch milliseconds. */
  readonly at: number
  /** `undefined` until an answer begins. */
  readonly status: number | undefined
  /** Body bytes handed to the socket so far. */
  readonly bytesSent: number
  /** The fault rule that took it. */
  readonly fault: string | undefined
}

/** The record of a request under way, written to as the answer proceeds. */
export type Entry = { -readonly [K in keyof RequestRecord]: RequestRecord[K] }

/** A log of the last 20,000 requests, in memory. */
export interface RequestLog {
  /** Append a request; its record is the caller's to write to. */
  readonly arrived: (incoming: Incoming, fault: string | undefined) => Effect.Effect<Entry>
  readonly records: Effect.Effect<ReadonlyArray<RequestRecord>>
}

const capacity = 20_000

/** Make a log. */
export const make: Effect.Effect<RequestLog> = Effect.sync(() => {
  const entries: Array<Entry> = []
  return {
    arrived: (incoming, fault) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        const entry = untold(incoming, at, fault)
        if (entries.push(entry) > capacity) entries.shift()
        return entry
      }),
    records: Effect.sync(() => entries.map((entry) => ({ ...entry })))
  }
})

/** The record of a request before its answer. */
export const untold = (
  { headers, method, path, query, server }: Incoming,
  at: number,
  fault: string | undefined
): Entry => ({
  server,
  method,
  path,
  query,
  headers: redact(headers),
  at,
  status: undefined,
  bytesSent: 0,
  fault
})

/** Headers without the value of `authorization`. */
export const redact = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  "authorization" in headers ? { ...headers, authorization: "<redacted>" } : headers
