/**
 * `--detach`: hands batches to the service, which waits for them and delivers. What is printed is the id of each
 * retrieval, as soon as the service has stored it.
 */
import { Effect, Option } from "effect"
import { AlreadyReported, UsageError } from "../failure/CliError.js"
import * as Report from "../failure/Report.js"
import type { Ids } from "../options/BatchIds.js"
import * as Destination from "../options/Destination.js"
import type { OutputRequest } from "../options/OutputOptions.js"
import { Stdout } from "../terminal/Stdout.js"
import * as RetrievalService from "./RetrievalService.js"

const refuse = (detail: string) => new UsageError({ detail, hint: Option.none(), batchId: Option.none() })

/** What is asked of the service. */
export interface Request extends OutputRequest {
  /** Who is called when it is done or has failed. */
  readonly notify: Option.Option<string>
  /** Whether a time to wait was given. */
  readonly waits: boolean
  /** Whether the inputs of the job were given. */
  readonly lists: boolean
}

/** What only makes sense where the results come to. */
const local = (request: Request): string | undefined => {
  const given: ReadonlyArray<readonly [string, boolean]> = [
    ["--parts", request.parts],
    ["--columns", Option.isSome(request.columns)],
    ["--bom", request.bom],
    ["--concurrency", Option.isSome(request.concurrency)],
    ["--skip-existing", request.skipExisting],
    ["--allow-incomplete", request.allowIncomplete],
    ["--receipt", request.receipt],
    ["--timeout", request.waits],
    ["--input", request.lists]
  ]
  return given.find(([, isGiven]) => isGiven)?.[0]
}

const bucket = /^s3:\/\/([^/]*)(?:\/(.*))?$/su

const isAddress = (text: string): boolean => URL.canParse(text) && /^https?:$/u.test(new URL(text).protocol)

/** The bodies of the requests, one for each batch. */
const bodies = (ids: Ids, request: Request): Effect.Effect<ReadonlyArray<object>, UsageError> =>
  Effect.gen(function* () {
    const flag = local(request)
    if (flag !== undefined)
      return yield* refuse(`${flag} is not for --detach: the service delivers as it does`)
    const typed = Option.getOrUndefined(request.output)
    if (typed === "-")
      return yield* refuse("--detach delivers into the service's folder or a bucket, not to -o -")
    const notify = Option.getOrUndefined(request.notify)
    if (notify !== undefined && !isAddress(notify))
      return yield* refuse("--notify is no address: write it as https://host/path")
    const [, name, key] = bucket.exec(typed ?? "") ?? []
    if (name === "") return yield* refuse(`-o ${typed} names no bucket: it is s3://bucket/key`)
    const path = name === undefined ? typed : key || undefined
    const output = Option.fromNullable(path ?? (name === undefined ? undefined : "./"))
    const { format } = yield* Effect.mapError(
      Destination.resolve({ ids, ...request, json: false, output }, "nothing"),
      refuse
    )
    return ids.map((id) => ({
      batch_id: id,
      destination:
        name === undefined
          ? { type: "folder", path }
          : { type: "s3", bucket: name, key: path ?? `${id.toLowerCase()}.${format}` },
      format,
      notify: notify === undefined ? undefined : { url: notify },
      replace: request.force ? true : undefined
    }))
  })

/** Hands the batches over; one that is refused does not keep the others. */
export const run = Effect.fn("HandOver.run")(function* (ids: Ids, request: Request) {
  const all = yield* bodies(ids, request)
  const stdout = yield* Stdout
  const codes = yield* RetrievalService.withService(({ ask }) =>
    Effect.forEach(all, (body, index) =>
      ask(RetrievalService.Retrieval, { method: "POST", path: "retrievals", body, repeatable: true }).pipe(
        Effect.flatMap((one) =>
          request.json
            ? Effect.flatMap(RetrievalService.toJson(one), stdout.json)
            : stdout.line(one.retrieval_id)
        ),
        Effect.as(0),
        Effect.catchTag("ServiceError", (error) => Report.failure(error, { batchId: ids[index] }))
      )
    )
  )
  const exitCode = codes.find((code) => code !== 0)
  if (exitCode !== undefined) return yield* new AlreadyReported({ exitCode })
})
