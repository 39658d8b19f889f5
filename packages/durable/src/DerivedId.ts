/**
 * Ids of what is the same: a UUID (version 8) made of the parts that it is known by.
 */
import { createHash } from "node:crypto"

/** The id of these parts. */
export const of = (...parts: ReadonlyArray<unknown>): string =>
  createHash("sha256")
    .update(JSON.stringify(parts))
    .digest("hex")
    .replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/u, "$1-$2-8$3-8$4-$5")
