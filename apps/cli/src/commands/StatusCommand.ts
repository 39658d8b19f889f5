/**
 * `batchctl status`: one status request per job, without waiting.
 */
import { type Batch, toJson } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import { Clock, Effect } from "effect"
import * as ExitCode from "../failure/ExitCode.js"
import * as BatchIds from "../options/BatchIds.js"
import * as JobText from "../run/JobText.js"
import * as PerBatch from "../run/PerBatch.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import { Stdout } from "../terminal/Stdout.js"
import * as Command from "./Command.js"

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
      : stdout.text([...(first ? [] : [""]), ...block], 11)
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
export const command = Command.make(Commands.status, ({ positionals: ids, values }) =>
  run({
    ids,
    json: values.json === true,
    showUrls: values["show-urls"] === true,
    exitStatus: values["exit-status"] === true
  })
)
