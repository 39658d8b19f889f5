/**
 * `batchctl status`: one status request per job, without waiting.
 */
import { Command, Options } from "@effect/cli"
import { type Batch, toJson } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import { Clock, Effect } from "effect"
import * as ExitCode from "../failure/ExitCode.js"
import * as BatchIds from "../options/BatchIds.js"
import * as JobText from "../run/JobText.js"
import * as PerBatch from "../run/PerBatch.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import { Stdout } from "../terminal/Stdout.js"

const options = {
  ids: BatchIds.args,
  json: Options.boolean("json").pipe(
    Options.withDescription("Print the API's own JSON, one object per line; links are masked.")
  ),
  showUrls: Options.boolean("show-urls").pipe(
    Options.withDescription("Show the download links in full. Whoever reads them can read the results.")
  ),
  exitStatus: Options.boolean("exit-status").pipe(
    Options.withDescription("Exit with 4 when a job failed and with 5 when it is still running.")
  )
}

/** The parsed flags and arguments. */
interface Request {
  readonly ids: ReadonlyArray<string>
  readonly json: boolean
  readonly showUrls: boolean
  readonly exitStatus: boolean
}

const print = (batch: Batch, request: Request, first: boolean) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    const now = yield* Clock.currentTimeMillis
    const block = JobText.block(batch, { now, showUrls: request.showUrls })
    yield* request.json
      ? stdout.json(toJson(batch, request))
      : stdout.line([...(first ? [] : [""]), ...block].join("\n"))
    return request.exitStatus ? ExitCode.ofStatus(batch.status) : ExitCode.ok
  })

const run = Effect.fn("StatusCommand.run")(function* (request: Request) {
  const ids = yield* BatchIds.parse(request.ids)
  yield* PerBatch.run({
    ids,
    concurrency: 4,
    order: "arguments",
    run: BatchClient.status,
    emit: (batch, id) => print(batch, request, id === ids[0])
  }).pipe(Effect.provide(CoreLayer.layer))
})

/** `batchctl status <batch-id>...` */
export const command = Command.make("status", options, run).pipe(
  Command.withDescription("Show the state of batch jobs as it is now.")
)
