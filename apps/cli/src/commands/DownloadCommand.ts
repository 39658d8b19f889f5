/**
 * `batchctl download`: the results of jobs that are completed already.
 */
import { Command } from "@effect/cli"
import { Effect } from "effect"
import * as BatchIds from "../options/BatchIds.js"
import * as OutputOptions from "../options/OutputOptions.js"
import * as CoreLayer from "../settings/CoreLayer.js"

const options = { ids: BatchIds.args, ...OutputOptions.options }

/** The parsed flags and arguments. */
interface Request extends OutputOptions.OutputRequest {
  readonly ids: ReadonlyArray<string>
}

const concurrency = 4

const run = Effect.fn("DownloadCommand.run")(function* (request: Request) {
  const ids = yield* BatchIds.parse(request.ids)
  const destination = yield* OutputOptions.resolve(ids, request)
  const { download } = yield* Effect.promise(() => import("@org/batch-core/Retrieval"))
  const delivery = yield* Effect.promise(() => import("../run/Delivery.js"))
  yield* delivery
    .run({ ids, request, destination, concurrency, fetch: download })
    .pipe(Effect.provide(CoreLayer.layer))
})

/** `batchctl download <batch-id>...` */
export const command = Command.make("download", options, run).pipe(
  Command.withDescription("Download the results of completed jobs, verified; resumes what was interrupted.")
)
