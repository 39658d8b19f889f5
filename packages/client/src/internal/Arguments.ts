/** Arguments of calls, checked before anything is asked. */
import { BatchId } from "@org/batch-core/Batch"
import type { Deadline } from "@org/batch-core/BatchPoll"
import * as DurationText from "@org/batch-core/DurationText"
import * as CoreFormat from "@org/batch-core/Format"
import type { DownloadOptions as CoreOptions } from "@org/batch-core/Retrieval"
import { FileSystem } from "@effect/platform"
import { Duration, Effect, Option, Schema } from "effect"
import { join } from "node:path"
import { InvalidArgument } from "../BatchError.js"
import type { Format } from "../Receipt.js"

const refused = (argument: string, detail: string): Effect.Effect<never, InvalidArgument> =>
  Effect.fail(new InvalidArgument({ argument, detail, message: `${argument}: ${detail}` }))

/** The id of a batch, if it is a UUID. */
export const batchId = (id: string): Effect.Effect<BatchId, InvalidArgument> =>
  Effect.orElse(Schema.decodeUnknown(BatchId)(id), () =>
    refused(
      "id",
      `${JSON.stringify(id)} is no batch id: a batch id is a UUID such as 01234567-89ab-4cde-8f01-23456789abcd`
    )
  )

/** How long to wait: by default as long as `batchctl` does. */
export const timeout = (value: string | number = "30m"): Effect.Effect<Deadline, InvalidArgument> => {
  if (typeof value === "string") {
    return Effect.catchAll(DurationText.parse(value), (reason) => refused("timeout", reason))
  }
  return value >= 0
    ? Effect.succeed(Duration.seconds(value))
    : refused("timeout", `${String(value)} is no number of seconds`)
}

/** A whole number within bounds, where one is given. */
export const whole = (
  argument: string,
  value: number | undefined,
  { max, min }: { readonly min: number; readonly max: number }
): Effect.Effect<void, InvalidArgument> =>
  value === undefined || (Number.isInteger(value) && value >= min && value <= max)
    ? Effect.void
    : refused(
        argument,
        `${String(value)} must be a whole number ${max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`}`
      )

/** What decides where the results go, and in which form. */
interface Request {
  readonly output: string
  readonly format?: Format | undefined
  readonly columns?: ReadonlyArray<string> | undefined
  readonly bom?: boolean | undefined
  readonly parts?: boolean | undefined
  readonly concurrency?: number | undefined
}

/**
 * Where the results go: a file; or a folder, one that exists or a name that ends in `/`, in which they get the name
 * `<batch-id>.<format>`; with `parts` the folder itself.
 */
export const destination = (
  id: BatchId,
  { columns, format: asked, output, parts = false, ...request }: Request
): Effect.Effect<
  Pick<CoreOptions, "output" | "format" | "columns" | "bom" | "parts" | "concurrency">,
  InvalidArgument,
  FileSystem.FileSystem
> =>
  Effect.gen(function* () {
    if (typeof output !== "string" || output === "") return yield* refused("output", "it must be a path")
    const fs = yield* FileSystem.FileSystem
    const present = yield* Effect.option(fs.stat(output))
    const isFolder = output.endsWith("/") || Option.exists(present, (file) => file.type === "Directory")
    const inferred = isFolder || parts ? Option.none<Format>() : CoreFormat.ofName(output)
    const format = asked ?? Option.getOrElse(inferred, () => "jsonl.gz" as const)
    if (!CoreFormat.all.includes(format)) {
      return yield* refused("format", `${JSON.stringify(format)} is none of ${CoreFormat.all.join(", ")}`)
    }
    if (parts && format !== "jsonl.gz") {
      return yield* refused("format", `parts are kept as delivered (jsonl.gz), so they cannot be ${format}`)
    }
    if (format !== "csv" && columns !== undefined) {
      return yield* refused("columns", `they are those of csv, and this is ${format}`)
    }
    yield* whole("concurrency", request.concurrency, { min: 1, max: 64 })
    return {
      ...request,
      parts,
      columns,
      format,
      output: isFolder && !parts ? join(output, `${id}.${format}`) : output
    }
  })
