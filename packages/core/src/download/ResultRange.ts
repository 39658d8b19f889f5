/**
 * A part of the bytes of a results file as they are delivered, for readers that go on where they broke off. Only where
 * one file has all rows and its host names its version by a strong ETag; a part proves nothing of the whole.
 *
 * @example
 * import { Effect, Option, Stream } from "effect"
 * import { type Batch, ResultRange } from "@org/batch-core"
 *
 * const tail = (batch: Batch.Batch) =>
 *   Effect.gen(function* () {
 *     const file = yield* ResultRange.file(batch)
 *     if (Option.isNone(file)) return Stream.empty
 *     const { total } = file.value
 *     return ResultRange.stream(batch, { file: file.value, start: total - 8, end: total })
 *   }).pipe(Stream.unwrap)
 */
import { Deferred, Effect, Either, Mailbox, Option, Stream } from "effect"
import type { Batch } from "../model/Batch.js"
import { BatchConfig } from "../model/BatchConfig.js"
import type { StatusError } from "../model/BatchError.js"
import * as FileTransfer from "../transfer/FileTransfer.js"
import * as RangeFetch from "../transfer/RangeFetch.js"
import * as ResultPlan from "../transfer/ResultPlan.js"
import * as ResultStream from "./ResultStream.js"

/** Enough to see what a file is. */
const probeBytes = 4096

const single = (batch: Batch): Option.Option<ResultPlan.PlannedFile> =>
  ResultPlan.make(batch, { parts: false }).pipe(
    Either.getRight,
    Option.flatMap(({ files: [first, ...others] }) =>
      others.length === 0 ? Option.fromNullable(first) : Option.none()
    )
  )

/** The one file with all rows of a completed job, by one small request; none if it is not such a one, or not to be had now. */
export const file = (
  batch: Batch
): Effect.Effect<Option.Option<ResultStream.DeliveredFile>, never, ResultStream.Needs> =>
  Effect.gen(function* () {
    const planned = yield* single(batch)
    const { settings, shared } = yield* ResultStream.share(batch)
    const begun = yield* Deferred.make<void>()
    const transfer = yield* FileTransfer.make<StatusError>({
      planned,
      target: { write: () => Effect.asVoid(Deferred.succeed(begun, undefined)), sync: Effect.void },
      transfer: { ...settings.transfer, cellBytes: probeBytes }
    })
    const run = yield* transfer.claim(1)
    // A host without ranges sends all of it.
    yield* Effect.raceFirst(RangeFetch.fetch(shared, transfer, run), Deferred.await(begun)).pipe(
      Effect.provideService(BatchConfig, settings)
    )
    return ResultStream.deliveredFile(transfer)
  }).pipe(Effect.scoped, Effect.option, Effect.map(Option.flatten))

/** The bytes from `start` on, up to and without `end`, of this version of the file; another one is `Changed`. */
export const stream = (
  batch: Batch,
  {
    end,
    file: { etag, total },
    start
  }: { readonly file: ResultStream.DeliveredFile; readonly start: number; readonly end: number }
): Stream.Stream<Uint8Array, ResultStream.StreamError, ResultStream.Needs> =>
  Stream.unwrapScoped(
    Effect.gen(function* () {
      const planned = single(batch)
      if (Option.isNone(planned) || start >= end) return Stream.empty
      const { settings, shared } = yield* ResultStream.share(batch)
      const { cellBytes } = settings.transfer
      const filled = Array.from({ length: Math.ceil(total / cellBytes) }, (_, cell) => {
        const [from, to] = [cell * cellBytes, Math.min(total, (cell + 1) * cellBytes)]
        return from >= end ? to - from : Math.max(0, Math.min(to, start) - from)
      })
      const output = yield* Mailbox.make<Uint8Array, ResultStream.StreamError>(1)
      const transfer = yield* FileTransfer.make<StatusError>({
        planned: planned.value,
        target: {
          write: (position, bytes) => {
            const wanted = new Uint8Array(bytes.subarray(0, Math.max(0, end - position)))
            const isLast = position + bytes.length >= end
            return Effect.zipRight(output.offer(wanted), isLast ? output.end : Effect.void)
          },
          sync: Effect.void
        },
        transfer: settings.transfer,
        restored: { etag, total, cellBytes, filled }
      })
      yield* RangeFetch.fetchAll(shared, transfer).pipe(
        Effect.provideService(BatchConfig, settings),
        Mailbox.into(output),
        Effect.forkScoped
      )
      return Mailbox.toStream(output)
    })
  )
