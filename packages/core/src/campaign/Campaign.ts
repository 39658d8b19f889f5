/**
 * A campaign: a list of any length to one verified result, over as many jobs as it takes. Nothing is submitted twice, every
 * input row has a fate, and the same call goes on wherever an earlier one has ended.
 *
 * @example
 * import { Campaign } from "@org/batch-core"
 *
 * const program = Campaign.run({
 *   kind: "company/enrich",
 *   input: { path: "leads.csv", format: "csv", column: "website" },
 *   as: "domains",
 *   output: "companies.jsonl.gz",
 *   folder: "state/campaigns",
 *   maxCredits: 5000
 * })
 */
import { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, Option, type Scope } from "effect"
import * as Digest from "../disk/Digest.js"
import * as Storage from "../disk/Storage.js"
import {
  CampaignRefused,
  CampaignTimeout,
  InputInvalid,
  RequestInvalid,
  StorageError,
  type TableError
} from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import { nearest } from "../model/Suggestion.js"
import * as BatchPoll from "../status/BatchPoll.js"
import { all, claims } from "./Campaigns.js"
import {
  type Definition,
  described,
  inputName,
  kindOf,
  ledgerName,
  propertyOf,
  receive
} from "./Definition.js"
import * as Jobs from "./Jobs.js"
import * as Ledger from "./Ledger.js"
import * as Outputs from "./Outputs.js"
import * as Planning from "./Planning.js"
import type { Report } from "./Report.js"
import * as Spending from "./Spending.js"
import { type Before, type Limits, sentInputs, weighed, worstCase } from "./Weighing.js"

export { all, claims, type Summary, SummaryJson } from "./Campaigns.js"
export { type Definition, type Input, inputName, receive, type Received } from "./Definition.js"
export { type JobOptions, ofJob } from "./JobFates.js"
export { pathsOf } from "./Outputs.js"
export { type Event, type Limits, type Outlook } from "./Weighing.js"

/** How a campaign goes on. */
export interface GoOnOptions extends Limits {
  /** Where campaigns have their folders. */
  readonly folder: string
}

/** What a campaign is, and how it goes on. */
export interface Options extends Definition, GoOnOptions {}

/** What a campaign can fail with. */
export type CampaignError =
  Jobs.Failure | InputInvalid | CampaignRefused | CampaignTimeout | RequestInvalid | TableError

/** What is needed. */
export type Needs = Jobs.Needs

/** A campaign that has come to its end, now or before. */
export interface Done {
  readonly report: Report
  /** Whether it had ended before, so that nothing was done now. */
  readonly wasFinished: boolean
}

/** Runs a campaign, or goes on with it: the same input, kind, fields and output are the same campaign. */
export const run = Effect.fn("Campaign.run")(function* (
  options: Options
): Effect.fn.Return<Done, CampaignError, Needs | Scope.Scope> {
  const paths = yield* Path.Path
  const incoming = yield* receive(options.folder, options.input)
  const begun = yield* begin({ ...options, output: paths.resolve(options.output) }, incoming.sha256)
  const folder = paths.join(options.folder, begun.campaign)
  const ledger = yield* Ledger.file(paths.join(folder, ledgerName)).pipe(
    // Another process that was refused may remove the folder just now.
    Effect.retry({ times: 3, while: ({ reason }) => reason === "Unwritable" })
  )
  if (Option.isNone(Ledger.stateOf(yield* ledger.read).begun)) {
    yield* Outputs.check(begun.output).pipe(
      Effect.zipRight(Storage.checkFolder(paths.dirname(begun.output))),
      Effect.tapError(() => removed(folder))
    )
    yield* Storage.rename(incoming.path, paths.join(folder, inputName))
    yield* ledger.append(begun)
  }
  return yield* goOn(ledger, folder, options)
}, Effect.scoped)

/**
 * The first entry of the ledger of a campaign, given the digest of its input. Its name is the same wherever input, kind,
 * body and output are. Fails where there is no such kind, or its identifiers may be several properties and none is named.
 */
export const begin = Effect.fn("Campaign.begin")(function* (
  { as, body = {}, format = "jsonl.gz", input, join = false, kind: name, output }: Definition,
  sha256: string
): Effect.fn.Return<typeof Ledger.Begun.Type, RequestInvalid> {
  const kind = yield* kindOf(name)
  const property = yield* propertyOf(kind, { as, input })
  const identity = [
    sha256,
    kind.name,
    property.name,
    input.format,
    input.column ?? "",
    body,
    output,
    format,
    join
  ]
  return Ledger.Begun.make({
    at: yield* DateTime.now,
    version: Ledger.version,
    campaign: Digest.sha256Of(new TextEncoder().encode(JSON.stringify(identity))).slice(0, 16),
    kind: kind.name,
    property: property.name,
    body,
    input: described(input, sha256),
    output,
    format,
    join
  })
})

/** Goes on with a campaign that is known by its name, or the beginning of it. */
export const resume = Effect.fn("Campaign.resume")(function* (
  campaign: string,
  options: GoOnOptions
): Effect.fn.Return<Done, CampaignError, Needs | Scope.Scope> {
  const paths = yield* Path.Path
  const names = (yield* all(options.folder)).map((one) => one.campaign)
  const found = names.filter((name) => name.startsWith(campaign))
  const [name] = found
  if (name === undefined || found.length > 1) {
    const near = nearest(campaign, names)
    const hint = near === undefined ? "" : `; did you mean ${near}?`
    const detail =
      found.length > 1
        ? `${plural(found.length, "campaign")} begin with ${campaign}`
        : `there is no campaign ${campaign}${hint}`
    return yield* new CampaignRefused({ reason: "NotFound", detail })
  }
  const folder = paths.join(options.folder, name)
  return yield* goOn(yield* Ledger.file(paths.join(folder, ledgerName)), folder, options)
}, Effect.scoped)

const removed = (folder: string): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.flatMap(FileSystem.FileSystem, (fs) =>
    Effect.ignore(fs.remove(folder, { recursive: true, force: true }))
  )

/** Goes on with a campaign whose ledger is in its folder. */
const goOn = (
  ledger: Ledger.Ledger,
  folder: string,
  options: GoOnOptions
): Effect.Effect<Done, CampaignError, Needs | Scope.Scope> =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    return yield* carry(ledger, {
      ...options,
      folder,
      claimed: Effect.provide(claims(options.folder, paths.basename(folder)), context),
      onRefused: Effect.provide(removed(folder), context)
    })
  })

/** How a campaign is carried, wherever its ledger is. */
export interface CarryOptions extends Limits {
  /** The folder of this campaign, with its input under `inputName`. */
  readonly folder: string
  /** The jobs that other ledgers claim. */
  readonly claimed: Effect.Effect<ReadonlySet<string>>
  /** Done where it ends before anything was sent. */
  readonly onRefused?: Effect.Effect<void> | undefined
}

// What `carry` does, piece by piece, for whoever takes the steps elsewhere: `planned`, `prepared`, `Jobs`, `joined`.

/** Carries a campaign whose ledger has its first entry, from wherever it stands to its end. */
export const carry = (
  ledger: Ledger.Ledger,
  options: CarryOptions
): Effect.Effect<Done, CampaignError, Needs | Scope.Scope> =>
  ledger.holding(
    Effect.gen(function* () {
      const before = yield* planned(ledger, options)
      const isOpen = before.state.chunks.some(
        ({ _tag }) => _tag === "Lost" || (_tag === "Failed" && options.retryFailed === true)
      )
      const report = isOpen ? Option.none() : yield* reported(before)
      if (Option.isSome(report)) return { report: report.value, wasFinished: true }
      yield* prepared(ledger, options, before)
      yield* carried(ledger, options, before)
      return { report: yield* joined(ledger, options, before), wasFinished: false }
    })
  )

/** What the ledger knows; the plan is made if there is none yet. */
export const planned = (
  ledger: Ledger.Ledger,
  { folder, onRefused = Effect.void }: CarryOptions
): Effect.Effect<Before, CampaignError, Needs> =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    const state = Ledger.stateOf(yield* ledger.read)
    const begun = yield* Effect.mapError(
      state.begun,
      () => new StorageError({ reason: "Unreadable", path: folder, detail: "it holds no campaign" })
    )
    const kind = yield* kindOf(begun.kind)
    const property = kind.identifiers.find(({ name }) => name === begun.property)
    if (property === undefined) {
      return yield* new RequestInvalid({
        kind: kind.name,
        property: Option.some(begun.property),
        detail: "it is no identifier of this kind"
      })
    }
    if (Option.isSome(state.plan)) return { begun, kind, plan: state.plan.value, property, state }
    const plan = yield* Planning.make({
      ...begun.input,
      name: begun.input.path,
      input: paths.join(folder, inputName),
      property,
      cap: kind.cap,
      folder
    }).pipe(
      Effect.scoped,
      Effect.filterOrFail(
        ({ rows }) => rows > 0,
        () => new InputInvalid({ path: begun.input.path, detail: "there is no row in it" })
      ),
      Effect.tapError(() => onRefused)
    )
    yield* ledger.append(plan)
    return { begun, kind, plan, property, state: { ...state, chunks: Ledger.stateOf([plan]).chunks } }
  })

/** The report of a campaign that is finished, with everything at its place. */
export const reported = ({
  begun,
  state
}: Before): Effect.Effect<Option.Option<Report>, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const isDone = state.isFinished && (yield* Outputs.areHere(begun.output))
    return isDone ? yield* Outputs.reportOf(begun.output) : Option.none()
  })

/** Fails where nothing may be submitted: there is something in the way, or it may cost too much, or is not wanted. */
export const prepared = (
  ledger: Ledger.Ledger,
  options: CarryOptions,
  before: Before
): Effect.Effect<void, CampaignError, Needs> =>
  Effect.gen(function* () {
    const { begun, state } = before
    if (!state.isPublished) yield* Outputs.check(begun.output)
    const entries = yield* ledger.read
    yield* weighed(options, before, entries).pipe(
      Effect.tapError(() =>
        entries.some(({ _tag }) => _tag === "sending") ? Effect.void : (options.onRefused ?? Effect.void)
      )
    )
    yield* Storage.makeFolder(resultsIn(options.folder))
  })

const resultsIn = (folder: string): string => `${folder}/results`

/** Where the results of a job are kept, in the folder of a campaign. */
export const resultOf =
  (folder: string) =>
  (batchId: string): string =>
    `${resultsIn(folder)}/${batchId}.jsonl.gz`

/** What the steps of its jobs work with. */
export const jobsOf = (
  ledger: Ledger.Ledger,
  { claimed, folder, onEvent: emit = () => Effect.void }: CarryOptions,
  { begun, kind, plan, state: { chunks } }: Before
): Effect.Effect<Jobs.Options> =>
  // One look for a lost job asks it of many, and a ledger is not read for each of them.
  Effect.map(Effect.cachedWithTTL(claimed, "1 second"), (jobs) => ({
    kind,
    begun,
    plan,
    chunks,
    ledger,
    folder,
    resultOf: resultOf(folder),
    isClaimed: (batchId) => Effect.map(jobs, (all) => all.has(batchId.toLowerCase())),
    emit
  }))

/** Submits, waits and fetches. */
const carried = (
  ledger: Ledger.Ledger,
  options: CarryOptions,
  before: Before
): Effect.Effect<void, CampaignError, Needs> =>
  Effect.gen(function* () {
    const { deadline = Infinity, maxActive = 4, retryFailed = false } = options
    const jobs = yield* jobsOf(ledger, options, before)
    yield* Jobs.carry({ ...jobs, maxActive, retryFailed }).pipe(
      Effect.timeoutFail({
        duration: BatchPoll.durationOf(deadline),
        onTimeout: () =>
          new CampaignTimeout({ campaign: before.begun.campaign, elapsed: BatchPoll.durationOf(deadline) })
      })
    )
  })

/** Writes what came of it, when all its jobs are over. */
export const joined = (
  ledger: Ledger.Ledger,
  { folder, onEvent = () => Effect.void }: CarryOptions,
  { begun, kind, plan, property }: Before
): Effect.Effect<Report, CampaignError, Needs> =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    yield* onEvent({ _tag: "Joining" })
    const entries = yield* ledger.read
    const chunks = Ledger.chunksOf(entries)
    const report = yield* Outputs.write({
      begun,
      plan,
      chunks,
      kind,
      property,
      folder,
      input: paths.join(folder, inputName),
      resultOf: resultOf(folder),
      credits: {
        at_most: Option.getOrNull(worstCase(kind, sentInputs(entries, plan))),
        spent: Option.getOrNull(yield* Spending.spent(kind, chunks))
      },
      publishing: Effect.flatMap(DateTime.now, (at) => ledger.append({ _tag: "publishing", at }))
    })
    yield* ledger.append({ _tag: "finished", at: yield* DateTime.now })
    yield* Effect.ignore(
      (yield* FileSystem.FileSystem).remove(paths.join(folder, Outputs.recordsName), { force: true })
    )
    if (report.complete) yield* removed(resultsIn(folder))
    return report
  })
