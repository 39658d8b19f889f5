/**
 * `batchctl download`: the results of jobs that are completed already.
 */
import { Effect } from "effect"
import * as BatchIds from "../options/BatchIds.js"
import * as OutputOptions from "../options/OutputOptions.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import * as Command from "./Command.js"

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
export const command = Command.make(Commands.download, ({ positionals: ids, values }) =>
  run({ ids, ...OutputOptions.of(values) })
)
