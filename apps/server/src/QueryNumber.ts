/**
 * Numbers as they stand in a query.
 */
import { Schema } from "effect"

/** A whole number from 1 to 100. */
export const upTo100 = Schema.NumberFromString.pipe(
  Schema.int(),
  Schema.between(1, 100, { message: () => "it must be a whole number from 1 to 100" })
)
