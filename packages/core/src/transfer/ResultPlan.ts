/**
 * The plan of a retrieval: what to fetch of a completed batch, in which order, under which names. Pure.
 *
 * @example
 * import { type Batch, ResultPlan } from "@org/batch-core"
 *
 * const names = (batch: Batch.Batch) => ResultPlan.make(batch, { parts: true })
 */
import { Either, Option } from "effect"
import { type Batch, hasResultCount } from "../model/Batch.js"
import { type BatchFailed, batchFailed, BatchNotCompleted, ResultsUnavailable } from "../model/BatchError.js"
import { plural } from "../model/CountText.js"
import type { Target } from "./ResultLinks.js"

/** One file to fetch. */
export interface PlannedFile {
  /** Its place in the plan, from 0. */
  readonly index: number
  readonly target: Target
  /** Its name in messages and, kept separate, in the folder: `<batch-id>.part-000.jsonl.gz`. */
  readonly name: string
}

/** What to fetch, in the order of the rows. `none` is an empty result, for which no request is made. */
export interface ResultPlan {
  readonly source: "merged" | "parts" | "none"
  readonly files: ReadonlyArray<PlannedFile>
}

/** The job, if it is completed. */
export const completed = (batch: Batch): Either.Either<Batch, BatchFailed | BatchNotCompleted> => {
  const { batchId, status } = batch
  if (status === "failed") return Either.left(batchFailed(batch))
  return status === "completed"
    ? Either.right(batch)
    : Either.left(new BatchNotCompleted({ batchId, status }))
}

/**
 * The plan for a completed job. A `result_count` of 0 plans nothing, whatever links there are: the object behind them may
 * never have been written. Otherwise the merged file, or the parts when they are asked for or are all there is. A job that
 * says now that it is running again has `Changed`.
 */
export const make = (
  batch: Batch,
  options: { readonly parts: boolean }
): Either.Either<ResultPlan, BatchFailed | ResultsUnavailable> => {
  const { batchId } = batch
  if (batch.status === "failed") return Either.left(batchFailed(batch))
  if (batch.status !== "completed") {
    const detail = `the job is ${batch.status} now`
    return Either.left(new ResultsUnavailable({ reason: "Changed", batchId, detail }))
  }
  if (!hasResultCount(batch)) {
    const detail =
      "it is completed, but says no result_count that can be read, so nothing proves its rows to be all"
    return Either.left(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  if (batch.resultCount === 0) return Either.right({ source: "none", files: [] })
  if (options.parts && batch.downloadUrls.length === 0) {
    const detail = "it lists no part files; the merged file can be had without asking for parts"
    return Either.left(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
  }
  if (!options.parts && Option.isSome(batch.downloadUrl)) return Either.right(merged(batch))
  if (batch.downloadUrls.length > 0) return Either.right(parts(batch))
  const detail = `it announces ${plural(batch.resultCount, "row")}, but neither download_url nor download_urls`
  return Either.left(new ResultsUnavailable({ reason: "NoLink", batchId, detail }))
}

/** The other way to the same rows, if there is one: the parts where the merged file was tried, and the reverse. */
export const alternative = (batch: Batch, plan: ResultPlan): Option.Option<ResultPlan> => {
  if (plan.source === "merged")
    return batch.downloadUrls.length > 0 ? Option.some(parts(batch)) : Option.none()
  return Option.isSome(batch.downloadUrl) ? Option.some(merged(batch)) : Option.none()
}

/** A plan in words: `the merged file`, `the 3 part files`. */
export const inWords = ({ files, source }: ResultPlan): string =>
  source === "merged"
    ? "the merged file"
    : `the ${files.length === 1 ? "part file" : plural(files.length, "part file")}`

/** The same way to the rows by what the job says later; none if it is not there any more. */
export const again = (batch: Batch, { source }: ResultPlan): Option.Option<ResultPlan> =>
  source === "merged"
    ? Option.as(batch.downloadUrl, merged(batch))
    : Option.liftPredicate(parts(batch), ({ files }) => source === "parts" && files.length > 0)

const merged = (batch: Batch): ResultPlan => ({
  source: "merged",
  files: [{ index: 0, target: "merged", name: `${batch.batchId}.jsonl.gz` }]
})

const parts = (batch: Batch): ResultPlan => ({
  source: "parts",
  files: batch.downloadUrls.map((_, index) => ({
    index,
    target: index,
    name: `${batch.batchId}.part-${String(index).padStart(3, "0")}.jsonl.gz`
  }))
})
