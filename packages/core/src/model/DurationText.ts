/**
 * Durations as people write them on a command line, in an environment variable or in a query string, and as messages
 * tell them.
 *
 * @example
 * import { DurationText } from "@org/batch-core"
 *
 * DurationText.parse("1m30s") // Either.right(Duration.seconds(90))
 * DurationText.parse("soon")  // Either.left("\"soon\" is no duration: write it as 500ms, 30s, 1m30s or 2h")
 * DurationText.format("90 seconds") // "1 min 30 s"
 */
import { Duration, Either } from "effect"

/** Tells a duration as people read it: `0.4 s`, `12 s`, `3 min 5 s`, `2 h 10 min`, `5 d 3 h`. */
export const format = (duration: Duration.DurationInput): string => {
  const millis = Duration.toMillis(duration)
  // What one decimal would make nothing of.
  if (millis > 0 && millis < 50) return `${Math.max(1, Math.round(millis))} ms`
  // From here on one decimal would round to 10.0 s.
  if (millis < 9_950) return `${(millis / 1000).toFixed(1)} s`
  const seconds = Math.round(millis / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return inTwo(seconds, [60, "min"], [1, "s"])
  return seconds < 86_400
    ? inTwo(seconds, [3_600, "h"], [60, "min"])
    : inTwo(seconds, [86_400, "d"], [3_600, "h"])
}

type Unit = readonly [seconds: number, name: string]

const inTwo = (seconds: number, [major, majorName]: Unit, [minor, minorName]: Unit): string => {
  const rest = Math.floor((seconds % major) / minor)
  return `${Math.floor(seconds / major)} ${majorName}${rest === 0 ? "" : ` ${rest} ${minorName}`}`
}

const millisPerUnit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const part =
  /(\d+(?:\.\d+)?)\s*(?:(ms|milli(?:second)?s?)|(s|sec(?:ond)?s?)|(m|min(?:ute)?s?)|(h|hours?)|(d|days?))(?![a-z])\s*/giy

/** Reads `500ms`, `30s`, `1m30s`, `2h`, `1 day`; a number alone counts seconds. `Left` says how to write it. */
export const parse = (text: string): Either.Either<Duration.Duration, string> => {
  const trimmed = text.trim()
  const written = /^\d+(?:\.\d+)?$/u.test(trimmed) ? `${trimmed}s` : trimmed
  const matches = [...written.matchAll(part)]
  const read = matches.reduce((length, match) => length + match[0].length, 0)
  const millis = matches.reduce((sum, match) => sum + millisOf(match), 0)
  return read > 0 && read === written.length && Number.isFinite(millis)
    ? Either.right(Duration.millis(millis))
    : Either.left(`${JSON.stringify(text)} is no duration: write it as 500ms, 30s, 1m30s or 2h`)
}

const millisOf = ([, amount, ms, s, m, h]: RegExpExecArray): number =>
  Number(amount) * millisPerUnit[ms ? "ms" : s ? "s" : m ? "m" : h ? "h" : "d"]
