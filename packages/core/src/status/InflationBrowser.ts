/**
 * `Inflation` for bundles that run in a browser, where every answer has been inflated already.
 *
 * @example
 * import * as Inflation from "./InflationBrowser.js"
 *
 * const none = Inflation.ways()
 */
import type { Inflate } from "./Inflation.js"

/** No way: a browser hands out the text itself. */
export const ways = (): ReadonlyArray<Inflate> => []
