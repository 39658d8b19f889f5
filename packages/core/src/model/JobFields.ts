/**
 * What can be read of the fields of a job. Only `batch_id` and `status` decide, so any other field may be odd: what can
 * be read is read, the rest counts as absent.
 *
 * @example
 * import * as JobFields from "./JobFields.js"
 *
 * JobFields.read({ result_count: "12", download_urls: [null] }) // { result_count: 12, download_urls: [] }
 * JobFields.unreadable({ result_count: "many" })                // ["result_count"]
 */
import { DateTime, Option, Predicate } from "effect"
import type { JsonObject } from "./Masking.js"

type Reader = (value: unknown) => Option.Option<unknown>

const whole = /^\s*(\d{1,15})(?:\.0*)?\s*$/u

const count: Reader = (value) => {
  const number = Predicate.isString(value) && whole.test(value) ? Number(value) : value
  return Option.liftPredicate(
    number,
    (known): known is number => Predicate.isNumber(known) && Number.isSafeInteger(known) && known >= 0
  )
}

const text: Reader = Option.liftPredicate(Predicate.isString)

/** A text, or the words inside an object such as `{"message":"…"}`; else its JSON. */
const words: Reader = (value) => {
  if (!Predicate.isRecord(value)) return text(value)
  const named = ["message", "detail", "error", "type"].map((name) => value[name]).find(Predicate.isString)
  return Option.some(named ?? JSON.stringify(value))
}

const link: Reader = (value) =>
  Predicate.isString(value) && URL.canParse(value) ? Option.some(value) : Option.none()

const links: Reader = (value) =>
  Array.isArray(value) ? Option.some(Option.reduceCompact(value.map(link), none, append)) : Option.none()

const none: ReadonlyArray<unknown> = []

const append = (all: ReadonlyArray<unknown>, one: unknown): ReadonlyArray<unknown> => [...all, one]

const iso = /^(\d{4}-\d\d-\d\d)(?:[t ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:z|([+-]\d\d):?(\d\d)?)?)?$/iu

/** ISO 8601 with or without a fraction; without an offset it is UTC. */
export const instant = (value: string): Option.Option<DateTime.Utc> =>
  Option.fromNullable(iso.exec(value)).pipe(
    Option.flatMap(([, date, time = "00:00", hours = "+00", minutes = "00"]) =>
      DateTime.make(`${date}T${time}${hours}:${minutes}`)
    ),
    Option.map(DateTime.toUtc)
  )

const date: Reader = (value) => (Predicate.isString(value) ? Option.as(instant(value), value) : Option.none())

const readers: Readonly<Record<string, Reader>> = {
  entity: text,
  action: text,
  identifier_count: count,
  result_count: count,
  entities_requested: count,
  entities_fulfilled: count,
  created_at: date,
  completed_at: date,
  error_message: words,
  download_url: link,
  download_urls: links
}

/** Whether a field says nothing: absent, null, or an empty text. */
const isBlank = (value: unknown): boolean => value === undefined || value === null || value === ""

const outcomes = (json: JsonObject): ReadonlyArray<readonly [string, unknown, Option.Option<unknown>]> =>
  Object.entries(readers).flatMap(([name, reader]) => {
    const value = Object.hasOwn(json, name) ? json[name] : undefined
    return isBlank(value) ? [] : [[name, value, reader(value)] as const]
  })

/**
 * The known fields that can be read. A list of links with gaps is no whole list, so it is absent where there is another
 * link to the same rows.
 */
export const read = (json: JsonObject): JsonObject => {
  const fields = Object.fromEntries(
    outcomes(json).flatMap(([name, , value]) => (Option.isSome(value) ? [[name, value.value]] : []))
  )
  const isWhole = !unreadable(json).includes("download_urls")
  return isWhole || fields["download_url"] === undefined ? fields : { ...fields, download_urls: [] }
}

/** The names of the known fields that say something which cannot be read, or not as a whole. */
export const unreadable = (json: JsonObject): ReadonlyArray<string> =>
  outcomes(json).flatMap(([name, value, outcome]) => {
    const isShort = Option.exists(
      outcome,
      (known) => Array.isArray(known) && Array.isArray(value) && known.length < value.length
    )
    return Option.isNone(outcome) || isShort ? [name] : []
  })
