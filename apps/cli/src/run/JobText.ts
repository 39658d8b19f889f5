/**
 * A job as text: a block of lines, one line, or its kind for a table.
 */
import { type Batch, isTerminal, linksEndAt } from "@org/batch-core/Batch"
import { maskUrl } from "@org/batch-core/Masking"
import { DateTime, Option, Redacted } from "effect"
import { ago, count, duration, instant, plural } from "../terminal/Humanize.js"

/** What the job is about: `company enrich`. */
export const kind = (batch: Batch): string =>
  [batch.entity, batch.action].filter((word) => word !== "").join(" ") || "-"

/** Aligned lines with every known field of a job; `now` is in epoch milliseconds. */
export const block = (
  batch: Batch,
  options: { readonly now: number; readonly showUrls: boolean }
): ReadonlyArray<string> =>
  [
    ["batch", batch.batchId],
    ["status", batch.status],
    ["job", `${kind(batch)}, ${plural(batch.identifierCount, "identifier")}`],
    ["results", `${plural(batch.resultCount, "row")}${isTerminal(batch.status) ? "" : " so far"}`],
    ["entities", `${count(batch.entitiesFulfilled)} found of ${count(batch.entitiesRequested)} requested`],
    ["created", moment(batch.createdAt, `(${ago(batch.createdAt, options.now)})`)],
    ["completed", moment(batch.completedAt, `(${took(batch)})`)],
    ["error", Option.getOrElse(batch.errorMessage, () => "")],
    ["links", links(batch, options.showUrls)]
  ].flatMap(([label = "", text = ""]) => (text === "" ? [] : [`${label.padEnd(10)} ${text}`]))

/** The line that `wait` prints for a job that has ended. */
export const line = (batch: Batch): string =>
  `${batch.batchId} ${batch.status}, ${plural(batch.resultCount, "row")}, ${count(batch.entitiesFulfilled)} found of ${count(batch.entitiesRequested)} requested`

/** How long the links of a completed job hold: `4 d 3 h`, or `expired`; nothing where nobody knows. */
export const linksLeft = (batch: Batch, now: number): string =>
  Option.match(linksEndAt(batch), {
    onNone: () => "",
    onSome: (end) => {
      const left = DateTime.toEpochMillis(end) - now
      return left > 0 ? duration(left) : "expired"
    }
  })

/** The same behind a subject. */
export const dying = (batch: Batch, now: number): string => {
  const left = linksLeft(batch, now)
  return left === "" ? "of unknown age" : left === "expired" ? "have died, by their age" : `die in ${left}`
}

const moment = (at: Option.Option<DateTime.Utc>, note: string): string =>
  Option.match(at, { onNone: () => "", onSome: (utc) => `${instant(utc)} ${note}` })

const took = (batch: Batch): string =>
  Option.match(Option.all([batch.createdAt, batch.completedAt]), {
    onNone: () => "",
    onSome: ([from, to]) => `took ${duration(DateTime.toEpochMillis(to) - DateTime.toEpochMillis(from))}`
  })

const links = (batch: Batch, showUrls: boolean): string => {
  const urls = [...Option.toArray(batch.downloadUrl), ...batch.downloadUrls].map(Redacted.value)
  if (urls.length === 0) return batch.status === "completed" ? "none" : ""
  if (showUrls) return urls.join(`\n${" ".repeat(11)}`)
  const hosts = [...new Set(urls.map((url) => new URL(maskUrl(url)).host))].join(", ")
  const merged = Option.isSome(batch.downloadUrl) ? ["a merged file"] : []
  const parts = batch.downloadUrls.length === 0 ? [] : [plural(batch.downloadUrls.length, "part file")]
  return `${[...merged, ...parts].join(" and ")} on ${hosts} (--show-urls shows them)`
}
