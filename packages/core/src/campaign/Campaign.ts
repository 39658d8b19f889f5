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
import { Array, DateTime, Duration, Effect, Option, Order, Random, Schema, type Scope, Stream } from "effect"
import * as Digest from "../disk/Digest.js"
import * as Storage from "../disk/Storage.js"
import type { Batch } from "../model/Batch.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import {
  CampaignRefused,
  CampaignTimeout,
  InputInvalid,
  NotAuthorized,
  RequestInvalid,
  StorageError,
  storageErrorAt,
  type TableError
} from "../model/BatchError.js"
import { count, plural } from "../model/CountText.js"
import type { Format } from "../model/Format.js"
import * as JobKind from "../model/JobKind.js"
import { nearest } from "../model/Suggestion.js"
import type { JsonObject } from "../model/Masking.js"
import * as BatchPoll from "../status/BatchPoll.js"
import * as Preflight from "../submit/Preflight.js"
import { BatchClient } from "../status/BatchClient.js"
import * as InputRows from "./InputRows.js"
import * as Jobs from "./Jobs.js"
import * as Ledger from "./Ledger.js"
import * as Outputs from "./Outputs.js"
import * as Planning from "./Planning.js"
import type { Report } from "./Report.js"
import * as Spending from "./Spending.js"

export { pathsOf } from "./Outputs.js"

/** The list. */
export interface Input {
  /** The file, or the name of what `bytes` gives in messages. */
  readonly path: string
  /** Its bytes, where they do not come from the file at `path`: standard input, an upload. */
  readonly bytes?: Stream.Stream<Uint8Array, StorageError> | undefined
  readonly format: InputRows.InputFormat
  /** The column, or the field, that holds the identifiers; plain lines need none. */
  readonly column?: string | undefined
}

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

/** How a campaign goes on. */
export interface GoOnOptions extends Limits {
  /** Where campaigns have their folders. */
  readonly folder: string
}

/** What a campaign is. */
export interface Definition {
  /** `company/enrich`, … */
  readonly kind: string
  readonly input: Input
  /** The property that the identifiers are, where the kind takes several. */
  readonly as?: string | undefined
  /** The rest of the body of each job: `fields`, `webhook_url`, … */
  readonly body?: JsonObject | undefined
  /** Where the joined result goes; fates, remainder and report go beside it. */
  readonly output: string
  /** Default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Write one line per input row, with its record, instead of the records as they came. */
  readonly join?: boolean | undefined
}

/** What a campaign is, and how it goes on. */
export interface Options extends Definition, GoOnOptions {}

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
    const checked = Outputs.check(begun.output).pipe(
      Effect.zipRight(Storage.checkFolder(paths.dirname(begun.output))),
      Effect.tapError(() => removed(folder))
    )
    yield* checked
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
    input: {
      path: input.path,
      sha256,
      format: input.format,
      ...(input.column === undefined ? {} : { column: input.column })
    },
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

/** What a job that was submitted elsewhere is compared with. */
export interface JobOptions {
  /** The inputs that it was submitted with. */
  readonly input: Input
  /** The property that they are, where the kind takes several. */
  readonly as?: string | undefined
  /** Its results as they were delivered, as JSON lines, gzip or not; fates, remainder and report go beside them. */
  readonly output: string
}

/** What became of each input of a job that was submitted elsewhere, and whose results are here. */
export const ofJob = Effect.fn("Campaign.ofJob")(function* (
  batch: Batch,
  options: JobOptions
): Effect.fn.Return<Report, InputInvalid | RequestInvalid | Outputs.Failure, OfJobNeeds | Scope.Scope> {
  const fs = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const kind = yield* kindOf(
    JobKind.all.find((one) => JobKind.isOf(one, batch))?.name ?? `${batch.entity}/${batch.action}`
  )
  const property = yield* propertyOf(kind, options)
  const folder = yield* Effect.mapError(
    fs.makeTempDirectoryScoped({ prefix: "batch-fates-" }),
    storageErrorAt("TMPDIR")
  )
  const { input, output } = options
  const { path, sha256 } = yield* receive(folder, input)
  const plan = yield* Planning.make({
    ...input,
    name: input.path,
    input: path,
    property,
    cap: Number.MAX_SAFE_INTEGER,
    folder
  })
  const {
    batchId,
    entitiesFulfilled: fulfilled,
    entitiesRequested: requested,
    resultCount: records,
    status
  } = batch
  const kept: Ledger.Standing = {
    _tag: "Kept",
    batchId,
    status,
    requested,
    fulfilled,
    records,
    completedAt: undefined,
    errorMessage: undefined,
    requestId: undefined,
    // Results of other inputs than these are told.
    adopted: true
  }
  return yield* Outputs.write({
    begun: Ledger.Begun.make({
      at: yield* DateTime.now,
      version: Ledger.version,
      campaign: batchId,
      kind: kind.name,
      property: property.name,
      body: {},
      input: {
        path: input.path,
        sha256,
        format: input.format,
        ...(input.column === undefined ? {} : { column: input.column })
      },
      output,
      format: "jsonl.gz",
      join: false
    }),
    plan,
    chunks: plan.chunks.map(() => kept),
    kind,
    property,
    folder,
    input: path,
    resultOf: () => paths.resolve(output),
    credits: { at_most: null, spent: null },
    publishing: Effect.void,
    isDelivered: true
  })
}, Effect.scoped)

type OfJobNeeds = BatchConfig | FileSystem.FileSystem | Path.Path

const ledgerName = "ledger.jsonl"

/** The name of the copy of the input in the folder of a campaign. */
export const inputName = "input"
const resultsName = "results"

const kindOf = (name: string): Effect.Effect<JobKind.JobKind, RequestInvalid> => {
  const kind = JobKind.named(name)
  const names = JobKind.all.filter(({ identifiers }) => identifiers.length > 0).map((known) => known.name)
  if (kind !== undefined && kind.identifiers.length > 0) return Effect.succeed(kind)
  const near = nearest(name, names)
  const detail =
    kind === undefined
      ? `there is no such kind of job; ${near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`}`
      : "it takes a query, not a list of inputs: submit it as one job"
  return new RequestInvalid({ kind: name, property: Option.none(), detail })
}

/** The property that the identifiers are: the only one, the one that is named, or the one that the column is called by. */
const propertyOf = (
  kind: JobKind.JobKind,
  { as, input }: Pick<Definition, "as" | "input">
): Effect.Effect<JobKind.IdentifierProperty, RequestInvalid> => {
  const names = kind.identifiers.map(({ name }) => name)
  const wanted = as?.replaceAll("-", "_")
  const column = (input.column ?? "").toLowerCase().replaceAll(/[\s-]+/gu, "_")
  const [only, ...others] = kind.identifiers
  const found =
    wanted === undefined
      ? others.length === 0
        ? only
        : kind.identifiers.find(({ name }) => column !== "" && (name === column || name === `${column}s`))
      : kind.identifiers.find(({ name }) => name === wanted)
  if (found !== undefined) return Effect.succeed(found)
  const detail =
    wanted === undefined
      ? `say what the identifiers are, as ${names.join(" or as ")}`
      : `${wanted} is none of its identifiers: ${names.join(", ")}`
  return new RequestInvalid({ kind: kind.name, property: Option.fromNullable(wanted), detail })
}

/** A copy of an input. */
export interface Received {
  /** Where it lies; it goes with the scope, unless it gets another name. */
  readonly path: string
  readonly sha256: string
  readonly bytes: number
}

/** Copies an input to a folder, synced: the file may change, or be gone, before the campaign ends. */
export const receive = <E = never>(
  folder: string,
  input: { readonly path: string; readonly bytes?: Stream.Stream<Uint8Array, E> | undefined }
): Effect.Effect<Received, E | StorageError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    yield* Storage.makeFolder(folder)
    const unique = yield* Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER)
    const path = paths.join(folder, `.incoming-${unique.toString(36)}`)
    yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(path, { force: true })))
    const bytes: Stream.Stream<Uint8Array, E | StorageError> =
      input.bytes ?? Stream.mapError(fs.stream(input.path, { chunkSize: 262_144 }), unreadable(input.path))
    const file = yield* Storage.open(path, "w")
    const hash = Digest.sha256()
    let position = 0
    yield* Stream.runForEach(bytes, (portion) => {
      hash.update(portion)
      return Effect.tap(Storage.writeAt(file, path, position, portion), () =>
        Effect.sync(() => void (position += portion.length))
      )
    })
    yield* Storage.sync(file, path)
    return { path, sha256: hash.hex(), bytes: position }
  })

const unreadable = (path: string) => (error: Parameters<ReturnType<typeof storageErrorAt>>[0]) =>
  new StorageError({ ...storageErrorAt(path)(error), reason: "Unreadable" })

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

/** Carries a campaign whose ledger has its first entry, from wherever it stands to its end. */
export const carry = (
  ledger: Ledger.Ledger,
  options: CarryOptions
): Effect.Effect<Done, CampaignError, Needs | Scope.Scope> =>
  ledger.holding(
    Effect.gen(function* () {
      const before = yield* began(ledger, options)
      const { begun, state } = before
      const isDone = state.isFinished && (yield* Outputs.areHere(begun.output))
      const isOpen = state.chunks.some(
        ({ _tag }) => _tag === "Lost" || (_tag === "Failed" && options.retryFailed === true)
      )
      if (isDone && !isOpen) {
        const report = yield* Outputs.reportOf(begun.output)
        if (Option.isSome(report)) return { report: report.value, wasFinished: true }
      }
      return { report: yield* carried(ledger, options, before), wasFinished: false }
    })
  )

interface Before {
  readonly begun: typeof Ledger.Begun.Type
  readonly plan: typeof Ledger.Planned.Type
  readonly state: Ledger.State
  readonly kind: JobKind.JobKind
  readonly property: JobKind.IdentifierProperty
}

/** What the ledger knows; the plan is made if there is none yet. */
const began = (
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

/** Submits, waits and fetches, and writes what came of it. */
const carried = (
  ledger: Ledger.Ledger,
  options: CarryOptions,
  { begun, kind, plan, property, state }: Before
): Effect.Effect<Report, CampaignError, Needs> =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    const {
      deadline = Infinity,
      folder,
      maxActive = 4,
      onRefused = Effect.void,
      retryFailed = false
    } = options
    const { onEvent = () => Effect.void } = options
    if (!state.isPublished) yield* Outputs.check(begun.output)
    const entries = yield* ledger.read
    yield* weighed(options, { begun, kind, plan, property, state }, entries).pipe(
      Effect.tapError(() => (entries.some(({ _tag }) => _tag === "sending") ? Effect.void : onRefused))
    )
    // One look for a lost job asks it of many, and a ledger is not read for each of them.
    const claimed = yield* Effect.cachedWithTTL(options.claimed, "1 second")
    const results = paths.join(folder, resultsName)
    yield* Storage.makeFolder(results)
    const resultOf = (batchId: string) => paths.join(results, `${batchId}.jsonl.gz`)
    const chunks = yield* Jobs.carry({
      kind,
      begun,
      plan,
      chunks: state.chunks,
      ledger,
      folder,
      resultOf,
      maxActive,
      retryFailed,
      isClaimed: (batchId) => Effect.map(claimed, (jobs) => jobs.has(batchId.toLowerCase())),
      emit: onEvent
    }).pipe(
      Effect.timeoutFail({
        duration: BatchPoll.durationOf(deadline),
        onTimeout: () =>
          new CampaignTimeout({ campaign: begun.campaign, elapsed: BatchPoll.durationOf(deadline) })
      })
    )
    yield* onEvent({ _tag: "Joining" })
    const after = yield* ledger.read
    const report = yield* Outputs.write({
      begun,
      plan,
      chunks,
      kind,
      property,
      folder,
      input: paths.join(folder, inputName),
      resultOf,
      credits: {
        at_most: Option.getOrNull(worstCase(kind, sentInputs(after, plan))),
        spent: Option.getOrNull(yield* Spending.spent(kind, chunks))
      },
      publishing: Effect.flatMap(DateTime.now, (at) => ledger.append({ _tag: "publishing", at }))
    })
    yield* ledger.append({ _tag: "finished", at: yield* DateTime.now })
    yield* Effect.ignore(
      (yield* FileSystem.FileSystem).remove(paths.join(folder, Outputs.recordsName), { force: true })
    )
    if (report.complete) yield* removed(results)
    return report
  })

const worstCase = (kind: JobKind.JobKind, inputs: number): Option.Option<number> =>
  Option.fromNullable(JobKind.creditsAtMost(kind, inputs))

/** Inputs of all jobs that were accepted, or may be. */
const sentInputs = (entries: ReadonlyArray<Ledger.Entry>, plan: typeof Ledger.Planned.Type): number => {
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
const weighed = (
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

/** The jobs that ledgers claim: those of other campaigns, and of single submits in the folder `submits` beside theirs. */
export const claims = (
  folder: string,
  except = ""
): Effect.Effect<ReadonlySet<string>, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const names = (place: string) => Effect.orElseSucceed(fs.readDirectory(place), (): Array<string> => [])
    const submits = paths.join(paths.dirname(folder), "submits")
    const files = [
      ...(yield* names(folder))
        .filter((name) => name !== except)
        .map((name) => paths.join(folder, name, ledgerName)),
      ...(yield* names(submits))
        .filter((name) => name.endsWith(".jsonl"))
        .map((name) => paths.join(submits, name))
    ]
    const found = yield* Effect.forEach(files, (file) => Effect.option(Ledger.entries(file)))
    return new Set(
      Array.getSomes(found)
        .flatMap(Ledger.claimedBy)
        .map((id) => id.toLowerCase())
    )
  })

/** A campaign of this machine, as its ledger has it. */
export interface Summary {
  readonly campaign: string
  readonly kind: string
  readonly input: string
  readonly output: string
  readonly startedAt: DateTime.Utc
  readonly rows: number
  readonly jobs: number
  /** Jobs whose results are here, that failed, and of which it is not known whether they were accepted. */
  readonly kept: number
  readonly failed: number
  readonly undecided: number
  readonly isFinished: boolean
}

/** The campaigns below a folder, newest first. Those whose ledgers cannot be read are left out. */
export const all = (
  folder: string
): Effect.Effect<ReadonlyArray<Summary>, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    if (!(yield* Effect.mapError(fs.exists(folder), storageErrorAt(folder)))) return []
    const names = yield* Effect.mapError(fs.readDirectory(folder), storageErrorAt(folder))
    const found = yield* Effect.forEach(
      names.filter((name) => !name.startsWith(".")),
      (name) => Effect.option(Ledger.entries(paths.join(folder, name, ledgerName)))
    )
    const summaries = Array.filterMap(Array.getSomes(found), (entries) => summaryOf(Ledger.stateOf(entries)))
    return Array.sortWith(summaries, ({ startedAt }) => -DateTime.toEpochMillis(startedAt), Order.number)
  })

const summaryOf = ({ begun, chunks, isFinished, plan }: Ledger.State): Option.Option<Summary> =>
  Option.map(begun, ({ at, campaign, input, kind, output }) => {
    const having = (tag: Ledger.Standing["_tag"]) => chunks.filter(({ _tag }) => _tag === tag).length
    return {
      campaign,
      kind,
      input: input.path,
      output,
      startedAt: at,
      rows: Option.match(plan, { onNone: () => 0, onSome: ({ rows }) => rows }),
      jobs: chunks.length,
      kept: having("Kept"),
      failed: having("Failed"),
      undecided: having("Lost"),
      isFinished
    }
  })

/** The encoded form of a summary, for `batchctl runs --json`. */
export const SummaryJson = Schema.Struct({
  campaign: Schema.String,
  kind: Schema.String,
  input: Schema.String,
  output: Schema.String,
  startedAt: Schema.propertySignature(Schema.DateTimeUtc).pipe(Schema.fromKey("started_at")),
  rows: Schema.Int,
  jobs: Schema.Int,
  kept: Schema.Int,
  failed: Schema.Int,
  undecided: Schema.Int,
  isFinished: Schema.propertySignature(Schema.Boolean).pipe(Schema.fromKey("finished"))
})
