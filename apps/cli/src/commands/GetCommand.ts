/**
 * `batchctl get`: waits for jobs, then downloads their results. The main job.
 */
import { Effect, Option } from "effect"
import { UsageError } from "../failure/CliError.js"
import * as BatchIds from "../options/BatchIds.js"
import * as OutputOptions from "../options/OutputOptions.js"
import * as Timeout from "../options/Timeout.js"
import type { ListFlags } from "../run/JobFates.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as Commands from "../syntax/Commands.js"
import type { Values } from "../syntax/Reading.js"
import * as Command from "./Command.js"

/** The flags and arguments. */
export interface Request extends OutputOptions.OutputRequest {
  readonly ids: ReadonlyArray<string>
  readonly timeout: string
  /** Whether we submitted the jobs just now, so that the API may not know them yet. */
  readonly submitted?: boolean
  /** The inputs of the job, whose fates are told. */
  readonly list?: ListFlags | undefined
}

type Typed = Values<typeof Commands.get.flags>["values"]

const listOf = (values: Typed): ListFlags | undefined =>
  values.input === undefined ? undefined : { ...values, input: values.input }

/** An account runs at most 5 jobs at a time, so with 8 places those that have ended are never kept waiting. */
const concurrency = 8

/** Waits and downloads with whatever core layer is provided; the demo provides one against its sandbox. */
export const deliver = Effect.fn("GetCommand.deliver")(function* (request: Request) {
  const ids = yield* BatchIds.parse(request.ids)
  const destination = yield* OutputOptions.resolve(ids, request)
  const left = yield* Timeout.start(request.timeout)
  const { get } = yield* Effect.promise(() => import("@org/batch-core/Retrieval"))
  const delivery = yield* Effect.promise(() => import("../run/Delivery.js"))
  const fetch: Parameters<typeof delivery.run>[0]["fetch"] = (id, options) =>
    Effect.flatMap(left, (deadline) => get(id, { ...options, deadline, submitted: request.submitted }))
  const list = request.list
  if (list === undefined) return yield* delivery.run({ ids, request, destination, concurrency, fetch })
  const fates = yield* Effect.promise(() => import("../run/JobFates.js"))
  const job = yield* fates.prepare(ids, destination, list)
  yield* delivery.run({ ids, request, destination, concurrency, fetch })
  yield* fates.tell(job, request.quiet)
})

const handOver = Effect.fn("GetCommand.handOver")(function* (words: ReadonlyArray<string>, values: Typed) {
  const ids = yield* BatchIds.parse(words)
  const { run } = yield* Effect.promise(() => import("../run/HandOver.js"))
  yield* run(ids, {
    ...OutputOptions.of(values),
    notify: Option.fromNullable(values.notify),
    waits: values.timeout !== undefined,
    lists: values.input !== undefined
  })
})

const unattended = new UsageError({
  detail: "--notify is for --detach: without it batchctl itself waits, and nobody needs to be called",
  hint: Option.none(),
  batchId: Option.none()
})

/** `batchctl get <batch-id>...` */
export const command = Command.make(Commands.get, ({ positionals: ids, values }) => {
  if (values.detach === true) return handOver(ids, values)
  return values.notify !== undefined
    ? unattended
    : deliver({ ids, timeout: Timeout.of(values), list: listOf(values), ...OutputOptions.of(values) }).pipe(
        Effect.provide(CoreLayer.layer)
      )
})
