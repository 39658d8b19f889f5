/** Campaigns and collections of the core, in values that need no Effect. */
import { StorageError } from "@org/batch-core/BatchError"
import * as Core from "@org/batch-core/Campaign"
import * as Collection from "@org/batch-core/Collection"
import * as CoreFormat from "@org/batch-core/Format"
import * as InputRows from "@org/batch-core/InputRows"
import * as JobKind from "@org/batch-core/JobKind"
import type { Retrieval } from "@org/batch-core"
import { StateFolder } from "@org/batch-node"
import { DateTime, Effect, Option, Stream } from "effect"
import { InvalidArgument } from "../BatchError.js"
import type {
  CampaignInput,
  CampaignOptions,
  CampaignProgress,
  CampaignReport,
  Collected,
  CollectOptions
} from "../Campaign.js"
import * as Arguments from "./Arguments.js"
import * as Failures from "./Failures.js"
import * as Plain from "./Plain.js"

/** A campaign, from its beginning or from where it stands. */
export const run = (
  kind: string,
  options: CampaignOptions
): Effect.Effect<CampaignReport, Core.CampaignError | InvalidArgument, Core.Needs> =>
  Effect.gen(function* () {
    const { as, fields, input, maxActive, maxCredits, output, retryFailed } = options
    const deadline = options.timeout === undefined ? undefined : yield* Arguments.timeout(options.timeout)
    if (maxActive !== undefined && !(Number.isInteger(maxActive) && maxActive > 0)) {
      return yield* Arguments.refused("maxActive", `${String(maxActive)} is no whole number of at least 1`)
    }
    if (maxCredits !== undefined && !(maxCredits >= 0)) {
      return yield* Arguments.refused("maxCredits", `${String(maxCredits)} is no number of credits`)
    }
    if (typeof output !== "string" || output === "")
      return yield* Arguments.refused("output", "it must be a path")
    const { report } = yield* Core.run({
      kind,
      input: inputOf(input),
      as,
      body: fields === undefined ? {} : { fields },
      output,
      format: options.format ?? Option.getOrUndefined(CoreFormat.ofName(output)),
      join: options.join === true,
      folder: yield* folderOf(options.folder),
      maxActive,
      maxCredits,
      deadline,
      retryFailed,
      onEvent: progressOf(options.onProgress)
    })
    return Plain.report(report)
  })

/** The folder of `batchctl`, where none is named. */
const folderOf = (named: string | undefined): Effect.Effect<string, InvalidArgument> => {
  const folder = named ?? StateFolder.below(process.env, "batchctl", "campaigns")
  return folder === undefined
    ? Arguments.refused("folder", "it must be named, since neither HOME nor XDG_STATE_HOME is set")
    : Effect.succeed(folder)
}

const inputOf = ({ bytes, column, format, path }: CampaignInput): Core.Input => ({
  path,
  bytes:
    bytes === undefined
      ? undefined
      : bytes instanceof Uint8Array
        ? Stream.make(bytes)
        : Stream.fromAsyncIterable(
            bytes,
            (error) => new StorageError({ reason: "Unreadable", path, detail: String(error) })
          ),
  format: format ?? InputRows.formatOf(path),
  column
})

/** Counts what the events tell. */
const progressOf = (tell: CampaignOptions["onProgress"]) => {
  let progress: CampaignProgress = { campaign: "", jobs: 0, submitted: 0, kept: 0, records: 0 }
  return (event: Core.Event): Effect.Effect<void> =>
    Effect.suspend(() => {
      switch (event._tag) {
        case "Outlook": {
          const { campaign, jobs, jobsLeft } = event.outlook
          progress = { ...progress, campaign, jobs, submitted: jobs - jobsLeft }
          break
        }
        case "Submitted":
          progress = { ...progress, submitted: progress.submitted + 1 }
          break
        case "Kept":
          progress = { ...progress, kept: progress.kept + 1, records: progress.records + event.records }
          break
        default:
          return Effect.void
      }
      const answer = tell?.(progress)
      return answer === undefined ? Effect.void : Effect.promise(() => answer)
    })
}

/** All completed jobs in one folder. */
export const collect = ({
  dryRun,
  folder,
  format,
  kind,
  since
}: CollectOptions): Stream.Stream<
  Collected,
  Stream.Stream.Error<ReturnType<typeof Collection.run>> | InvalidArgument,
  Retrieval.Needs
> =>
  Stream.unwrap(
    Effect.gen(function* () {
      if (typeof folder !== "string" || folder === "") {
        return yield* Arguments.refused("folder", "it must be a path")
      }
      const at = Option.fromNullable(since)
      const start = Option.flatMap(at, DateTime.make)
      if (Option.isSome(at) && Option.isNone(start)) return yield* Arguments.refused("since", "it is no date")
      const found = kind === undefined ? undefined : JobKind.named(kind)
      if (kind !== undefined && found === undefined) {
        return yield* Arguments.refused("kind", `there is no such kind of job: ${JSON.stringify(kind)}`)
      }
      const options = { folder, format, dryRun, kind: found, since: Option.getOrUndefined(start) }
      return Stream.map(Collection.run(options), collected)
    })
  )

const collected = (outcome: Collection.Outcome): Collected => {
  const batch = Plain.batch(outcome.batch)
  switch (outcome._tag) {
    case "Due":
      return { _tag: "Due", batch, output: outcome.output }
    case "Failed":
      return { _tag: "Failed", batch, output: outcome.output, error: Failures.of(outcome.error) }
    default:
      return { _tag: outcome._tag, batch, receipt: Plain.receipt(outcome.receipt) }
  }
}
