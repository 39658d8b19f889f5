/**
 * What was delivered, in words.
 */
import type { Receipt } from "@org/batch-core/Receipt"
import { bytes, count, plural } from "../terminal/Humanize.js"

/** `complete and verified: 40 rows, 12.3 kB,`; the place follows. */
export const summary = (receipt: Receipt): string => {
  const rows = plural(receipt.records, "row")
  if (!receipt.complete) return `incomplete: ${rows} of ${count(receipt.resultCount)} announced`
  return receipt.source === "none"
    ? "empty result (0 rows)"
    : `complete and verified: ${rows}, ${bytes(receipt.bytes)},`
}
