/**
 * Numbers of things as people read them, the same in every message.
 *
 * @example
 * import { CountText } from "@org/batch-core"
 *
 * CountText.count(1_234_567) // "1,234,567"
 * CountText.plural(2, "retry") // "2 retries"
 */

/** `1,234,567`. No `Intl`: it costs more at start-up than everything else that is printed. */
export const count = (value: number): string => String(value).replace(/\B(?=(?:\d{3})+$)/gu, ",")

/** `1 row`, `1,234 rows`, `2 retries`. */
export const plural = (value: number, noun: string): string =>
  `${count(value)} ${value === 1 ? noun : noun.replace(/y$/u, "ie").concat("s")}`
