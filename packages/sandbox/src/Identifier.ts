/**
 * Which inputs of a job resolve. Submitted ones resolve unless they say otherwise, so that a test can choose.
 */

/** Whether an identifier is never found: it contains `unresolved`, or its host ends in `.invalid`. */
export const isUnresolvable = (identifier: string): boolean =>
  identifier.includes("unresolved") || /\.invalid(\/|$)/.test(identifier)

/** Whether a job of this action gives a miss a line of its own; the others leave it out. */
export const listsMisses = (action: string): boolean =>
  action === "contact_enrich" || action === "verify" || action === "identify"
