/**
 * The metrics of retrievals and campaigns, which the store knows: they are those of all processes together. There are none before it is
 * open, and none while it does not answer.
 */
import type { Campaign, Retrievals } from "@org/batch-durable"
import { Effect, Option } from "effect"
import * as Prometheus from "./Prometheus.js"
import { RetrievalStore } from "./RetrievalStore.js"

/** How long the store may take. */
const patience = "2 seconds"

const linesOf = ({ notifications, oldestDue, states }: Retrievals.Figures): ReadonlyArray<string> => [
  ...Prometheus.gauges(
    "batch_server_retrievals",
    "Retrievals in the store, by state.",
    Object.entries(states).map(([state, count]) => [[["state", state]], count])
  ),
  ...Prometheus.gauges(
    "batch_server_retrievals_oldest_due_seconds",
    "Seconds since the oldest look at a batch was due.",
    [[[], oldestDue]]
  ),
  ...Prometheus.gauges(
    "batch_server_notifications",
    "Completion calls that are still to be made, and those given up.",
    Object.entries(notifications).map(([state, count]) => [[["state", state]], count])
  )
]

const linesOfCampaigns = (states: Readonly<Record<Campaign.State, number>>): ReadonlyArray<string> =>
  Prometheus.gauges(
    "batch_server_campaigns",
    "Campaigns in the store, by state.",
    Object.entries(states).map(([state, count]) => [[["state", state]], count])
  )

/** The metrics of retrievals and campaigns in the Prometheus text format. */
export const text: Effect.Effect<string, never, RetrievalStore> = Effect.gen(function* () {
  const store = yield* Effect.flatMap(RetrievalStore, ({ opened }) => opened)
  if (Option.isNone(store)) return ""
  const { campaigns, retrievals } = store.value
  const figures = yield* Effect.timeoutOption(
    Effect.option(Effect.all([retrievals.figures, campaigns.figures])),
    patience
  )
  return Option.match(Option.flatten(figures), {
    onNone: () => "",
    onSome: ([ofRetrievals, ofCampaigns]) =>
      [...linesOf(ofRetrievals), ...linesOfCampaigns(ofCampaigns)].map((line) => `${line}\n`).join("")
  })
})
