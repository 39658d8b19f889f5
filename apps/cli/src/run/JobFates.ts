/**
 * The fates of the inputs of a job that was submitted elsewhere: what `get --input` tells beside the results.
 */
import type { BatchId } from "@org/batch-core/Batch"
import type { BatchError } from "@org/batch-core/BatchError"
import * as BatchClient from "@org/batch-core/BatchClient"
import * as Campaign from "@org/batch-core/Campaign"
import { Effect } from "effect"
import type { UsageError } from "../failure/CliError.js"
import type { Ids } from "../options/BatchIds.js"
import type { Destination } from "../options/Destination.js"
import { misused, sourceOf } from "../options/Inputs.js"
import { Stderr } from "../terminal/Stderr.js"
import * as CampaignRun from "./CampaignRun.js"

/** The flags that name a list of inputs. */
export interface ListFlags {
  readonly input: string
  readonly column?: string | undefined
  readonly as?: string | undefined
  readonly "input-format"?: string | undefined
}

/** A job whose results go to a file, and its inputs. */
export interface Job extends Campaign.JobOptions {
  readonly id: BatchId
}

/** What the flags ask for, before any request. */
export const prepare = (
  ids: Ids,
  destination: Destination,
  list: ListFlags
): Effect.Effect<Job, UsageError> => {
  const [id, ...others] = ids
  if (others.length > 0) return misused("--input is the list of one job: give one batch id")
  if (destination._tag !== "Files" || destination.format === "csv") {
    return misused(
      "--input needs the results in a file, as jsonl.gz or jsonl: their envelopes tell which input is which"
    )
  }
  const { as, input } = list
  return Effect.succeed({ id, as, output: destination.path(id), input: sourceOf(input, list) })
}

/** Writes fates, remainder and report beside the results, and tells the figures. */
export const tell = (
  job: Job,
  quiet: boolean
): Effect.Effect<void, BatchError, BatchClient.BatchClient | Campaign.Needs | Stderr> =>
  Effect.gen(function* () {
    const stderr = yield* Stderr
    const report = yield* Campaign.ofJob(yield* BatchClient.status(job.id), job)
    if (!quiet) yield* stderr.line(CampaignRun.fatesInWords(report))
  })
