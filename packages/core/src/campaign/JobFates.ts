/**
 * What became of the inputs of a job that was submitted elsewhere.
 *
 * @example
 * import { Effect } from "effect"
 * import type { Batch } from "../model/Batch.js"
 * import * as JobFates from "./JobFates.js"
 *
 * const program = (batch: Batch) =>
 *   JobFates.ofJob(batch, {
 *     input: { path: "leads.csv", format: "csv", column: "website" },
 *     output: "companies.jsonl.gz"
 *   }).pipe(Effect.scoped)
 */
import { FileSystem, Path } from "@effect/platform"
import { DateTime, Effect, type Scope } from "effect"
import type { Batch } from "../model/Batch.js"
import type { BatchConfig } from "../model/BatchConfig.js"
import { type InputInvalid, type RequestInvalid, storageErrorAt } from "../model/BatchError.js"
import * as JobKind from "../model/JobKind.js"
import { described, type Input, kindOf, propertyOf, receive } from "./Definition.js"
import * as Ledger from "./Ledger.js"
import * as Outputs from "./Outputs.js"
import * as Planning from "./Planning.js"
import type { Report } from "./Report.js"

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
      input: described(input, sha256),
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
