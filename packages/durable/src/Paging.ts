/**
 * Pages of rows, newest first: the cursor is the place of the last one that was shown.
 */
import { Effect, Option } from "effect"
import { RetrievalInvalid } from "./RetrievalError.js"
import type { Row } from "./Store.js"

/** The place before which a page begins; null for the first page. */
export const before = (
  cursor: string | undefined,
  limit: number
): Effect.Effect<string | null, RetrievalInvalid> => {
  const place = cursor === undefined ? null : placeOf(cursor)
  if (place === undefined) {
    return new RetrievalInvalid({ field: "cursor", detail: "it is none of this service's" })
  }
  return Number.isInteger(limit) && limit >= 1 && limit <= 100
    ? Effect.succeed(place)
    : new RetrievalInvalid({ field: "limit", detail: "it must be a whole number from 1 to 100" })
}

/** The page in the rows of a query for one more than its limit, and where to go on. */
export const pageOf = (
  rows: ReadonlyArray<Row>,
  limit: number
): { readonly shown: ReadonlyArray<Row>; readonly nextCursor: Option.Option<string> } => {
  const shown = rows.slice(0, limit)
  const last = rows.length > limit ? shown.at(-1) : undefined
  return { shown, nextCursor: Option.map(Option.fromNullable(last), ({ place }) => cursorOf(place)) }
}

const cursorOf = (place: unknown): string => Buffer.from(`r${String(place)}`).toString("base64url")

const placeOf = (cursor: string): string | undefined =>
  /^r(\d{1,18})$/u.exec(Buffer.from(cursor, "base64url").toString())?.[1]
