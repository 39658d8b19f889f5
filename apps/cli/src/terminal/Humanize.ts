/**
 * Figures and tables as people read them. No `Intl`: it costs more at start-up than everything else that is printed.
 */
import { count } from "@org/batch-core/CountText"
import * as DurationText from "@org/batch-core/DurationText"
import { DateTime, Option } from "effect"

export { count, plural } from "@org/batch-core/CountText"

/** Credits to the hundredth: `1,234.5`. */
export const credits = (value: number): string => {
  const [whole = "", fraction] = String(Math.round(value * 100) / 100).split(".")
  return `${count(Number(whole))}${fraction === undefined ? "" : `.${fraction}`}`
}

const units = ["B", "kB", "MB", "GB", "TB"] as const

/** `999 B`, `1.2 kB`, `12.3 MB`: powers of 1000, three digits. */
export const bytes = (value: number): string => {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  const scaled = value / 1000 ** power
  return `${power === 0 ? Math.round(scaled) : scaled < 100 ? scaled.toFixed(1) : Math.round(scaled)} ${units[power]}`
}

/** `0.4 s`, `12 s`, `3 min 5 s`: as the core tells durations, of which this is one in milliseconds. */
export const duration = (millis: number): string => DurationText.format(millis)

/** `2025-11-20 10:00:00Z`. */
export const instant = (at: DateTime.Utc): string =>
  `${DateTime.formatIso(at).slice(0, 19).replace("T", " ")}Z`

/** `3 min ago`, or nothing when the moment is unknown. */
export const ago = (at: Option.Option<DateTime.Utc>, now: number): string =>
  Option.match(at, {
    onNone: () => "",
    onSome: (moment) => `${duration(Math.max(0, now - DateTime.toEpochMillis(moment)))} ago`
  })

/** A column of a table. */
export interface Column {
  readonly heading: string
  /** Figures stand at the right of their column. */
  readonly right?: boolean
}

/** Rows aligned under their headings, two spaces between columns, no rules; none ends in blanks. */
export const table = (
  columns: ReadonlyArray<Column>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<string> => {
  const all = [columns.map(({ heading }) => heading), ...rows]
  const widths = columns.map((_, at) => Math.max(...all.map((row) => (row[at] ?? "").length)))
  return all.map((row) =>
    columns
      .map(({ right = false }, at) => (row[at] ?? "")[right ? "padStart" : "padEnd"](widths[at] ?? 0))
      .join("  ")
      .trimEnd()
  )
}
