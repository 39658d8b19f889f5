/**
 * Submits a job once: what is about to be sent is on the disk before, and its batch id before it is printed. Loaded only
 * when there is something to send.
 */
import type { FileSystem, Path } from "@effect/platform"
import type { Batch } from "@org/batch-core/Batch"
import type { BatchClient } from "@org/batch-core/BatchClient"
import { type StorageError, type SubmitError, type SubmitUnknown } from "@org/batch-core/BatchError"
import * as Ledger from "@org/batch-core/Ledger"
import * as Preflight from "@org/batch-core/Preflight"
import * as Settlement from "@org/batch-core/Settlement"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import { DateTime, Effect, Option, Ref, type Scope } from "effect"
import type { Environment } from "../settings/Settings.js"
import * as StateFolder from "../settings/StateFolder.js"
import { command } from "../terminal/CommandLine.js"
import { credits as amount, plural } from "../terminal/Humanize.js"
import { Stderr } from "../terminal/Stderr.js"
import { unbroken } from "../terminal/Wrap.js"
import * as SubmitRecords from "./SubmitRecords.js"

type Needs = BatchClient | Environment | FileSystem.FileSystem | Path.Path | Stderr

/** Submits, settles an answer that is lost, and gives the job once it is recorded. */
export const send = Effect.fn("Submission.send")(function* (
  request: SubmitRequest.SubmitRequest
): Effect.fn.Return<Batch, SubmitError | StorageError, Needs | Scope.Scope> {
  const folder = yield* StateFolder.submits
  const path = yield* SubmitRecords.place(folder, request.kind.name)
  const ledger = yield* Ledger.file(path)
  yield* SubmitRecords.prune(folder)
  yield* warn(request)
  const sentAt = yield* DateTime.now
  const append = (entry: Ledger.Entry) => ledger.append(entry)
  yield* append({ _tag: "sending", at: sentAt, chunk: 0 })
  return yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const lost = yield* Ref.make(false)
      const batch = yield* restore(settled(request, lost)).pipe(
        Effect.onInterrupt(() => interrupted(request, path)),
        Effect.tapError((error) =>
          Effect.flatMap(DateTime.now, (at) => recorded(append(endOf(error, at)), path))
        )
      )
      const at = yield* DateTime.now
      const adopted = (yield* Ref.get(lost)) ? { adopted: true } : {}
      const { batchId, requestId } = batch
      const told = Option.match(requestId, { onNone: () => ({}), onSome: (id) => ({ request_id: id }) })
      yield* recorded(append({ _tag: "sent", at, chunk: 0, batch_id: batchId, ...told, ...adopted }), path)
      return batch
    })
  )
}, Effect.scoped)

const settled = (request: SubmitRequest.SubmitRequest, lost: Ref.Ref<boolean>) =>
  Effect.gen(function* () {
    const stderr = yield* Stderr
    const context = yield* Effect.context<Environment | FileSystem.FileSystem | Path.Path>()
    return yield* Settlement.submit(request, {
      isClaimed: (batchId) =>
        Effect.orElseSucceed(Effect.provide(StateFolder.isClaimed(batchId), context), () => false),
      onLost: ({ detail }) =>
        Effect.zipRight(
          Ref.set(lost, true),
          stderr.line(
            `warning: the answer of the API was lost (${detail}): the job is looked for now, for up to two minutes; it is not sent again`
          )
        )
    })
  })

const interrupted = (
  { kind }: SubmitRequest.SubmitRequest,
  path: string
): Effect.Effect<void, never, Stderr> =>
  Effect.gen(function* () {
    const stderr = yield* Stderr
    yield* stderr.line(
      `interrupted: the API may have taken the job (${kind.entity} ${kind.action}) all the same; when it was sent is in ${path}`
    )
    yield* stderr.line(
      `  next   ${unbroken(command("list"))} shows whether there is such a job; only if there is none, submit again`
    )
  })

const endOf = (error: SubmitError, at: DateTime.Utc): Ledger.Entry =>
  error._tag === "SubmitUnknown"
    ? { _tag: "undecided", at, chunk: 0, detail: error.detail, ...requestIdOf(error) }
    : { _tag: "refused", at, chunk: 0, detail: error.message }

const requestIdOf = ({ requestId }: SubmitUnknown) =>
  Option.match(requestId, { onNone: () => ({}), onSome: (id) => ({ request_id: id }) })

/** What has come cannot be taken back because the disk is full now: it is told, and goes on. */
const recorded = (
  append: Effect.Effect<void, StorageError>,
  path: string
): Effect.Effect<void, never, Stderr> =>
  Effect.catchAll(append, (error) =>
    Effect.flatMap(Stderr, ({ line }) =>
      line(`warning: the end of the submit could not be recorded in ${path}: ${error.message}`)
    )
  )

/** What the free calls say against it; the API itself decides. */
const warn = (request: SubmitRequest.SubmitRequest): Effect.Effect<void, never, BatchClient | Stderr> =>
  Effect.gen(function* () {
    const found = yield* Effect.timeoutOption(Preflight.look(request.kind.name), "5 seconds")
    if (Option.isNone(found)) return
    const { activeJobs, credits, entitled } = found.value
    const { line } = yield* Stderr
    const most = SubmitRequest.creditsAtMost(request)
    if (Option.contains(entitled, false)) {
      yield* line(`warning: the plan does not include ${request.kind.entity} ${request.kind.action}`)
    }
    if (Option.isSome(credits) && Option.exists(most, (needed) => needed > credits.value)) {
      yield* line(
        `warning: it may cost ${amount(Option.getOrElse(most, () => 0))} credits, and the balance is ${amount(credits.value)}`
      )
    }
    if (Option.exists(activeJobs, (active) => active >= Preflight.activeJobsAtMost)) {
      yield* line(
        `warning: ${plural(Preflight.activeJobsAtMost, "job")} of the account are active, as many as may be`
      )
    }
  })
