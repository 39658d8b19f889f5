/**
 * What becomes of the inputs of a job. Submitted ones are found unless they say otherwise, so that a test can choose.
 */

/** What becomes of an input. */
export type Fate = "matched" | "not_found" | "redacted"

/**
 * The fate of an identifier: `redacted` if it contains that word; never found if it contains `unresolved`, its host ends in `.invalid`,
 * or it is a number that ends in 000404.
 */
export const fate = (identifier: string): Fate => {
  if (identifier.includes("redacted")) return "redacted"
  return identifier.includes("unresolved") || /\.invalid(\/|$)|^\d*000404$/.test(identifier)
    ? "not_found"
    : "matched"
}

/** Whether a job of this action gives a miss a line of its own; the others leave it out. */
export const listsMisses = (action: string): boolean =>
  action === "contact_enrich" || action === "verify" || action === "identify"

/** Whether an identifier has a line of its own. People who opted out are told by identify alone. */
export const hasLine = (action: string, identifier: string): boolean => {
  switch (fate(identifier)) {
    case "matched":
      return true
    case "not_found":
      return listsMisses(action)
    case "redacted":
      return action === "identify"
  }
}
