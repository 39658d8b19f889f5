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

/** An argument that cannot be used, and why. */
export const refused = (argument: string, detail: string): Effect.Effect<never, InvalidArgument> =>
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

/** How many jobs at most. */
export const limit = (value: number): Effect.Effect<number, InvalidArgument> =>
  value === Infinity || (Number.isInteger(value) && value > 0)
    ? Effect.succeed(Math.min(value, Number.MAX_SAFE_INTEGER))
    : refused("limit", `${String(value)} is no whole number of at least 1`)

/** What decides where the results go, and in which form. */
type Request = Pick<CoreOptions, "output" | "format" | "columns" | "bom" | "parts" | "concurrency">

/**
 * Where the results go: a file; or a folder, one that exists or a name that ends in `/`, in which they get the name
 * `<batch-id>.<format>`; with `parts` the folder itself.
 */
export const destination = (
  id: BatchId,
  { columns, format: asked, output, parts = false, ...request }: Request
): Effect.Effect<Request, InvalidArgument, FileSystem.FileSystem> =>
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
    const { concurrency = 1 } = request
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 64) {
      return yield* refused("concurrency", `${String(concurrency)} is no whole number from 1 to 64`)
    }
    return {
      ...request,
      parts,
      columns,
      format,
      output: isFolder && !parts ? join(output, `${id}.${format}`) : output
    }
  })
