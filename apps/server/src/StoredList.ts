/**
 * Lists of what is in the store, a page at a time: their query and their JSON.
 */
import type { HttpServerResponse } from "@effect/platform"
import { Option, Schema } from "effect"
import * as JobBody from "./JobBody.js"
import * as QueryNumber from "./QueryNumber.js"

/** The parameters of every such list. */
export const query = {
  limit: Schema.optional(QueryNumber.upTo100),
  cursor: Schema.optional(Schema.NonEmptyString)
}

/** A page, by the name of what it lists. */
export const page = (
  name: "retrievals" | "campaigns",
  items: ReadonlyArray<unknown>,
  nextCursor: Option.Option<string>
): HttpServerResponse.HttpServerResponse =>
  JobBody.json(
    JSON.stringify({
      [name]: items,
      next_cursor: Option.getOrNull(nextCursor),
      has_more: Option.isSome(nextCursor)
    })
  )
