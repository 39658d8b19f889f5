/**
 * A failure as text, as JSON and as an exit code: the message, what is known of the batch, what to run next.
 */
import { type Batch, toJson } from "@org/batch-core/Batch"
import { maskText } from "@org/batch-core/Masking"
import { Either, Option, Predicate, Schema } from "effect"
import { plural } from "../terminal/Humanize.js"
import { AnyFailure, type Circumstances, type Failure, type OwnFailure } from "./CliError.js"
import * as ExitCode from "./ExitCode.js"
import * as NextCommand from "./NextCommand.js"

const isOwn = (failure: Failure): failure is OwnFailure =>
  failure._tag === "UsageError" ||
  failure._tag === "SettingsError" ||
  failure._tag === "SandboxUnavailable" ||
  failure._tag === "ServiceError"

/** The exit code of a failure. */
export const exitCode = (failure: Failure): number => {
  if (!isOwn(failure)) return ExitCode.ofError(failure)
  if (failure._tag === "ServiceError") {
    return ExitCode.ofService(Option.getOrUndefined(failure.status), failure.type)
  }
  return failure._tag === "SandboxUnavailable" ? ExitCode.local : ExitCode.usage
}

/** The lines for standard error: `error: …`, then `batch` and `next`, each where there is something to say. */
export const lines = (failure: Failure, context: Circumstances): ReadonlyArray<string> => [
  `error: ${maskText(failure.message)}`,
  ...labelled("batch", context.batchId !== undefined && `${context.batchId}${lastKnown(failure, context)}`),
  ...labelled("next", NextCommand.of(failure, context))
]

/** The object that `--json` prints: the failure's own fields, as its schema encodes them. */
export const json = (
  failure: Failure,
  context: Omit<Circumstances, "commandLine">
): Readonly<Record<string, unknown>> => {
  const fields = Either.getOrElse(Schema.encodeEither(AnyFailure)(failure), () => ({}))
  return {
    ...(context.file === undefined ? {} : { file: context.file }),
    ...(subject(failure, context) === undefined ? {} : { batch_id: subject(failure, context) }),
    error: {
      type: failure._tag,
      message: maskText(failure.message),
      ...Object.fromEntries(Object.entries(fields).filter(([name]) => name !== "_tag")),
      ...(failure._tag === "BatchFailed" ? { batch: toJson(failure.batch) } : {})
    }
  }
}

const subject = (failure: Failure, context: Omit<Circumstances, "commandLine">): string | undefined =>
  context.batchId ??
  context.receipt?.batchId ??
  (failure._tag === "UsageError" ? Option.getOrUndefined(failure.batchId) : undefined)

/** The lines for a bug in batchctl, with the stack only if debugging was asked for. */
export const bug = (
  defect: unknown,
  { batchId, debug }: { readonly batchId?: string | undefined; readonly debug: boolean }
): ReadonlyArray<string> => [
  `error: this is a bug in batchctl: ${reason(defect)}`,
  ...labelled("batch", batchId ?? false),
  "  next   report it in the issue tracker of the repository, with the command you ran and this message",
  ...(debug && Predicate.isError(defect)
    ? [maskText(defect.stack ?? "")]
    : ["         (BATCH_DEBUG=1 shows the stack)"])
]

/** The object that `--json` prints for a bug in batchctl. */
export const bugJson = (defect: unknown, batchId: string | undefined): unknown => ({
  ...(batchId === undefined ? {} : { batch_id: batchId }),
  error: { type: "Bug", message: reason(defect) }
})

const reason = (defect: unknown): string =>
  maskText(Predicate.isError(defect) ? defect.message : String(defect))

const labelled = (label: string, text: string | false): ReadonlyArray<string> =>
  text === false || text === "" ? [] : [`  ${label.padEnd(5)}  ${text}`]

const lastKnown = (failure: Failure, { last }: Circumstances): string => {
  switch (failure._tag) {
    case "BatchFailed":
      return known(failure.batch)
    case "BatchNotCompleted":
      return `, ${failure.status}`
    case "WaitTimeout":
      return Option.match(failure.lastStatus, {
        onNone: () => ", its status is not known",
        onSome: (status) => `, last seen ${status} with ${plural(failure.counts.resultCount, "row")}`
      })
    case "UsageError":
    case "SettingsError":
    case "ServiceError":
    case "BatchNotFound":
      return ""
    default:
      if (last !== undefined) return known(last)
      return failure._tag === "StorageError" ? "" : ", its status is not known"
  }
}

const known = (batch: Batch): string => `, last seen ${batch.status} with ${plural(batch.resultCount, "row")}`
