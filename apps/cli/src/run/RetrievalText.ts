/**
 * Retrievals as text: a table, a line, and all that is known of one.
 */
import { maskText } from "@org/batch-core/Masking"
import { DateTime, Option } from "effect"
import { ago, bytes, type Column, count, duration, table } from "../terminal/Humanize.js"
import type { Retrieval } from "./RetrievalService.js"

/** Where the results go, as it is written behind `-o`. */
export const destinationOf = ({ destination }: Retrieval): string =>
  destination.type === "s3"
    ? `s3://${destination.bucket ?? ""}/${destination.key ?? ""}`
    : (destination.path ?? destination.type)

const columns: ReadonlyArray<Column> = [
  { heading: "RETRIEVAL" },
  { heading: "STATE" },
  { heading: "BATCH" },
  { heading: "ROWS", right: true },
  { heading: "CHANGED", right: true },
  { heading: "DESTINATION" }
]

/** A table with its headings. */
export const tableOf = (retrievals: ReadonlyArray<Retrieval>, now: number): ReadonlyArray<string> =>
  table(
    columns,
    retrievals.map((one) => [
      one.retrieval_id,
      one.state,
      one.batch_id.slice(0, 8),
      count(one.progress.records),
      ago(Option.some(one.updated_at), now),
      destinationOf(one)
    ])
  )

const reached = ({ progress }: Retrieval): string => {
  const size = progress.total_bytes === null ? "" : ` of ${bytes(progress.total_bytes)}`
  return `${count(progress.records)} of ${count(progress.result_count)} rows, ${bytes(progress.bytes)}${size}`
}

/** How it stands, in a line. */
export const line = (one: Retrieval): string => {
  const { progress, state } = one
  const what =
    state === "waiting"
      ? `the job is ${progress.status ?? "not looked at yet"}`
      : state === "failed"
        ? maskText(`${one.error?.type ?? ""}: ${one.error?.message ?? ""}`)
        : state === "done"
          ? `${count(progress.records)} rows in ${destinationOf(one)}`
          : reached(one)
  return `${one.retrieval_id}  ${state}  ${what}`
}

/** All that is known of it. */
export const lines = (one: Retrieval, now: number): ReadonlyArray<string> => {
  const next = Option.map(Option.fromNullable(one.next_look_at), DateTime.toEpochMillis)
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["retrieval", one.retrieval_id],
    ["state", one.attempt > 1 ? `${one.state}, attempt ${one.attempt}` : one.state],
    ["batch", `${one.batch_id}${one.progress.status === null ? "" : `, ${one.progress.status}`}`],
    ["output", `${destinationOf(one)} (${one.format})`],
    ["progress", reached(one)],
    ...(one.error === null ? [] : [["error", maskText(`${one.error.type}: ${one.error.message}`)] as const]),
    ["created", ago(Option.some(one.created_at), now)],
    ["changed", ago(Option.some(one.updated_at), now)],
    ...Option.match(next, {
      onNone: () => [],
      onSome: (at) => [["next look", at > now ? `in ${duration(at - now)}` : "now"] as const]
    })
  ]
  return rows.map(([label, text]) => `${label.padEnd(9)}  ${text}`)
}
