/**
 * What somebody may have meant: the nearest of the words that there are. Free of Effect, as `JobKind` is.
 *
 * @example
 * import { Suggestion } from "@org/batch-core"
 *
 * Suggestion.nearest("domain", ["names", "domains"]) // "domains"
 */

/** The nearest word, if one is near: as many slips as a third of its letters, and one for a short word. */
export const nearest = (word: string, known: ReadonlyArray<string>): string | undefined => {
  const typed = word.toLowerCase()
  const ranked = known
    .map((candidate) => ({ candidate, slips: slips(typed, candidate.toLowerCase()) }))
    .filter(({ candidate, slips: number }) => number <= Math.max(1, Math.floor(candidate.length / 3)))
    .toSorted((a, b) => a.slips - b.slips)
  const begun = typed.length < 2 ? [] : known.filter((candidate) => candidate.startsWith(typed))
  return begun.length === 1 ? begun[0] : ranked[0]?.candidate
}

/** Letters that are missing, too many, wrong, or the wrong way round beside each other. */
const slips = (a: string, b: string): number => {
  let rows: ReadonlyArray<ReadonlyArray<number>> = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const above = rows.at(-1) ?? []
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row.push(
        Math.min(
          (above[j] ?? 0) + 1,
          (row[j - 1] ?? 0) + 1,
          (above[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
          swapped ? (rows.at(-2)?.[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
        )
      )
    }
    rows = [...rows.slice(-1), row]
  }
  return rows.at(-1)?.[b.length] ?? 0
}
