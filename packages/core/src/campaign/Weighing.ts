/**
 * Weighs what is left of a campaign before any of it is submitted: what it may cost, against what it may and what there is.
 *
 * @example
 * import * as JobKind from "../model/JobKind.js"
 * import * as Weighing from "./Weighing.js"
 *
 * const kind = JobKind.named("company/enrich")
 * const most = kind === undefined ? undefined : Weighing.worstCase(kind, 10_000)
 */
import { Array, Duration, Effect, Option } from "effect"
import { CampaignRefused, NotAuthorized } from "../model/BatchError.js"
import { count, plural } from "../model/CountText.js"
import * as JobKind from "../model/JobKind.js"
import type * as BatchPoll from "../status/BatchPoll.js"
import type { BatchClient } from "../status/BatchClient.js"
import * as Preflight from "../submit/Preflight.js"
import type * as Jobs from "./Jobs.js"
import type * as Ledger from "./Ledger.js"

/** How far a campaign may go. */
export interface Limits {
  /** Jobs active at a time, at most; default 4 of the 5 that an account may have. */
  readonly maxActive?: number | undefined
  /** Credits that it may cost all in all, at most. A hard bound: what might cost more is refused before it is sent. */
  readonly maxCredits?: number | undefined
  /** How long, from now. Default: as long as it takes. */
  readonly deadline?: BatchPoll.Deadline | undefined
  /** Submit the chunks of failed jobs again. */
  readonly retryFailed?: boolean | undefined
  /** Asked before anything is submitted; default: goes on. */
  readonly confirm?: ((outlook: Outlook) => Effect.Effect<boolean, CampaignRefused>) | undefined
  /** Told of everything worth showing. */
  readonly onEvent?: ((event: Event) => Effect.Effect<void>) | undefined
}

/** What is known before anything is submitted. */
export interface Outlook {
  readonly campaign: string
  readonly kind: JobKind.JobKind
  readonly rows: number
  readonly unique: number
  readonly rejected: number
  readonly duplicates: number
  /** Jobs all in all, and those that are not submitted yet. */
  readonly jobs: number
  readonly jobsLeft: number
  /** Credits that the jobs which are not submitted yet cost at most; none where no price is published. */
  readonly creditsAtMost: Option.Option<number>
  readonly balance: Option.Option<number>
  /** Active jobs of the account. */
  readonly activeJobs: Option.Option<number>
  /** How long it may take, by how long such jobs of the account took lately; none if there were none. */
  readonly expected: Option.Option<Duration.Duration>
  /** Whether it goes on from an earlier run. */
  readonly isResumed: boolean
}

/** Something worth showing. */
export type Event =
  | { readonly _tag: "Outlook"; readonly outlook: Outlook }
  | Jobs.Event
  /** All jobs are at their end: the results are joined. */
  | { readonly _tag: "Joining" }

/** A campaign before it goes on. */
export interface Before {
  readonly begun: typeof Ledger.Begun.Type
  readonly plan: typeof Ledger.Planned.Type
  readonly state: Ledger.State
  readonly kind: JobKind.JobKind
  readonly property: JobKind.IdentifierProperty
}

/** The credits that so many inputs cost at most; none where no price is published. */
export const worstCase = (kind: JobKind.JobKind, inputs: number): Option.Option<number> =>
  Option.fromNullable(JobKind.creditsAtMost(kind, inputs))

/** Inputs of all jobs that were accepted, or may be. */
export const sentInputs = (
  entries: ReadonlyArray<Ledger.Entry>,
  plan: typeof Ledger.Planned.Type
): number => {
  let sum = 0
  const open = new Set<number>()
  const sizeOf = (chunk: number) => plan.chunks[chunk]?.count ?? 0
  for (const entry of entries) {
    if (entry._tag === "sending") open.add(entry.chunk)
    if (entry._tag === "refused") open.delete(entry.chunk)
    if (entry._tag === "sent") {
      open.delete(entry.chunk)
      sum += sizeOf(entry.chunk)
    }
  }
  return Array.reduce([...open], sum, (total, chunk) => total + sizeOf(chunk))
}

/** Fails where what is left may cost more than it may, or more than there is, or is not wanted. */
export const weighed = (
  options: Limits,
  { begun, kind, plan, state }: Before,
  entries: ReadonlyArray<Ledger.Entry>
): Effect.Effect<void, CampaignRefused | NotAuthorized, BatchClient> =>
  Effect.gen(function* () {
    const { confirm, maxCredits, onEvent = () => Effect.void, retryFailed = false } = options
    const left = plan.chunks.filter((_, chunk) => {
      const tag = state.chunks[chunk]?._tag ?? "Planned"
      return tag === "Planned" || (tag === "Failed" && retryFailed)
    })
    const inputs = left.reduce((sum, chunk) => sum + chunk.count, 0)
    const creditsAtMost = worstCase(kind, inputs)
    const inAll = worstCase(kind, inputs + sentInputs(entries, plan))
    const refused = (reason: CampaignRefused["reason"], detail: string) =>
      new CampaignRefused({ reason, detail })
    if (maxCredits !== undefined && inputs > 0) {
      if (Option.isNone(inAll)) {
        return yield* refused(
          "MaxCredits",
          `no price of ${kind.name} is published, so ${count(maxCredits)} credits cannot be kept to`
        )
      }
      if (inAll.value > maxCredits) {
        return yield* refused(
          "MaxCredits",
          `it may cost ${count(inAll.value)} credits (${plural(inputs, "input")} to send), and ${count(maxCredits)} are allowed`
        )
      }
    }
    const look = inputs === 0 ? undefined : yield* Preflight.look(kind.name)
    const outlook: Outlook = {
      campaign: begun.campaign,
      kind,
      rows: plan.rows,
      unique: plan.unique,
      rejected: plan.rejected,
      duplicates: plan.duplicates,
      jobs: plan.chunks.length,
      jobsLeft: left.length,
      creditsAtMost,
      balance: look?.credits ?? Option.none(),
      activeJobs: look?.activeJobs ?? Option.none(),
      expected: Option.map(look?.jobDuration ?? Option.none(), (one) =>
        Duration.times(one, Math.ceil(left.length / Math.max(1, options.maxActive ?? 4)))
      ),
      isResumed: entries.some(({ _tag }) => _tag === "sending")
    }
    yield* onEvent({ _tag: "Outlook", outlook })
    const denied = look?.failures.find((error) => error._tag === "NotAuthorized")
    if (denied !== undefined && Option.isNone(outlook.activeJobs)) return yield* denied
    if (look !== undefined && Option.contains(look.entitled, false)) {
      return yield* new NotAuthorized({
        reason: "NotOnPlan",
        detail: `the plan of this key does not include ${kind.name}`
      })
    }
    if (Option.exists(Option.all([creditsAtMost, outlook.balance]), ([most, balance]) => most > balance)) {
      return yield* refused(
        "Balance",
        `it may cost ${count(Option.getOrElse(creditsAtMost, () => 0))} credits, and the account has ${count(Option.getOrElse(outlook.balance, () => 0))}`
      )
    }
    if (inputs > 0 && confirm !== undefined && !(yield* confirm(outlook))) {
      return yield* refused("NotConfirmed", "it was not confirmed")
    }
  })
