/**
 * What a campaign tells while it goes on, and its ledger does not say: what it may cost, and why it goes on slowly.
 */
import type * as Core from "@org/batch-core/Campaign"
import { Effect, Option } from "effect"
import { patiently, type Service as Store } from "./Store.js"

/** What is told of how far it is, after an event. */
const partOf = (event: Core.Event): object | undefined => {
  switch (event._tag) {
    case "Outlook": {
      const { balance, creditsAtMost } = event.outlook
      const credits = { at_most: Option.getOrNull(creditsAtMost), balance: Option.getOrNull(balance) }
      return { credits, notice: null }
    }
    case "Held":
    case "Stopping":
      return { notice: event.error.message }
    case "Lost":
      return { notice: `an answer was lost, and is looked for: ${event.detail}` }
    case "Submitted":
      return { notice: null }
    default:
      return undefined
  }
}

/** Tells of an event whoever looks at a campaign, where that is news. */
export const tell = (store: Store, campaignId: string, event: Core.Event): Effect.Effect<void> =>
  Effect.suspend(() => {
    const part = partOf(event)
    if (part === undefined) return Effect.void
    return Effect.asVoid(
      patiently(
        store.query(
          `UPDATE batch.campaign SET progress = progress || $2::jsonb, seq = seq + 1, updated_at = clock_timestamp()
            WHERE id = $1 AND state IN ('waiting', 'running') AND NOT progress @> $2::jsonb`,
          [campaignId, JSON.stringify(part)]
        )
      )
    )
  })
