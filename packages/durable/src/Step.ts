/**
 * One download, from the links of a completed batch to the destination: staged by the core's resumable retrieval under a
 * folder of its own, then published if it is still this process's to publish.
 */
import { type FileSystem, Path } from "@effect/platform"
import type * as BatchClient from "@org/batch-core/BatchClient"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import type { StorageError } from "@org/batch-core/BatchError"
import type { BatchHttp } from "@org/batch-core/BatchHttp"
import type { Event } from "@org/batch-core/Event"
import * as Existing from "@org/batch-core/Existing"
import * as Format from "@org/batch-core/Format"
import { maskText } from "@org/batch-core/Masking"
import * as Receipt from "@org/batch-core/Receipt"
import * as CoreRetrieval from "@org/batch-core/Retrieval"
import { Data, type Deferred, Effect, Option, Schema } from "effect"
import { mkdir, rm } from "node:fs/promises"
import { staging } from "./Destination.js"
import type { Held, Note, Outcome } from "./Downloads.js"
import * as FolderDelivery from "./FolderDelivery.js"
import type { Sessions } from "./Gate.js"
import type * as Queue from "./Queue.js"
import type { Destination } from "./Retrieval.js"
import * as S3Delivery from "./S3Delivery.js"
import type { Service as Settings } from "./Settings.js"
import type { Service as Store } from "./Store.js"
import * as Tries from "./Tries.js"

/** The download is another process's, or was stopped. */
export class Lost extends Data.TaggedError("Lost") {}

/** What carries a job of the engine out. */
export interface Run {
  readonly store: Store
  readonly settings: Settings
  readonly sessions: Sessions
  readonly job: Queue.Fetched
  /** Completes when the job is another worker's. */
  readonly lost: Deferred.Deferred<void>
}

/** What a download tells and asks while it runs. */
export interface Handle {
  /** Told what the core tells; never fails. */
  readonly onEvent: (event: Event) => Effect.Effect<void>
  /** Notes something for whoever takes the download over, and so proves that it is still ours. */
  readonly note: (note: Note) => Effect.Effect<void, Lost>
  /** Succeeds while the download is ours. */
  readonly still: Effect.Effect<void, Lost>
}

/** What the core needs, for the account of the download. */
export type Needs = BatchClient.BatchClient | BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/** The folder in which a download lies until it is whole. */
export const stageOf = (settings: Pick<Settings, "folder">, retrievalId: string): string =>
  `${settings.folder}/${staging}/${retrievalId}`

/** The root of an account's destinations. */
const rootOf = ({ folder, passThrough }: Settings, account: string): string =>
  passThrough ? `${folder}/${account}` : folder

/** Carries a download to its end. What fails is an outcome as well; only a lost one is none. */
export const run = (held: Held, handle: Handle, settings: Settings): Effect.Effect<Outcome, Lost, Needs> =>
  Effect.gen(function* () {
    const delivery = deliveryOf(held, handle, settings)
    yield* delivery.prepare
    const staged = yield* stage(held, handle, settings)
    yield* handle.note({ sha256: staged.receipt.sha256 })
    yield* delivery.publish(staged)
    const receipt = new Receipt.Receipt({ ...staged.receipt, output: shown(held.retrieval.destination) })
    const output = yield* Effect.orDie(Schema.encode(Schema.parseJson(Receipt.Receipt))(receipt))
    return { _tag: "Done" as const, receipt, output }
  }).pipe(
    Effect.catchAll((error) =>
      error._tag === "Lost" ? Effect.fail(error) : Effect.succeed(outcomeOf(error, held, settings))
    )
  )

/** Removes what a download has staged. */
export const clear = (settings: Pick<Settings, "folder">, retrievalId: string): Effect.Effect<void> =>
  Effect.promise(() => rm(stageOf(settings, retrievalId), { recursive: true, force: true }))

const shown = (destination: Destination): string =>
  destination.type === "folder" ? (destination.path ?? "") : S3Delivery.placeOf(destination)

/** A whole and proven file. */
interface Staged {
  readonly path: string
  readonly receipt: Receipt.Receipt
}

class Staging extends Data.TaggedError("Staging")<{ readonly error: StorageError }> {}

const stage = (held: Held, handle: Handle, settings: Settings) =>
  Effect.gen(function* () {
    const { batchId, format, retrievalId } = held.retrieval
    const folder = stageOf(settings, retrievalId)
    yield* Effect.promise(() => mkdir(folder, { recursive: true, mode: 0o700 }).catch(() => undefined))
    const options = {
      output: (yield* Path.Path).join(folder, `rows.${format}`),
      format,
      receipt: true,
      force: true,
      onEvent: handle.onEvent
    }
    const found = yield* Existing.find(batchId, options)
    const receipt = Option.isSome(found)
      ? found.value
      : yield* CoreRetrieval.download(batchId, options).pipe(
          Effect.catchTag("StorageError", (error) => new Staging({ error }))
        )
    return { path: options.output, receipt }
  })

/** How a destination is prepared and published. */
interface Delivery {
  readonly prepare: Effect.Effect<void, StorageError | Lost>
  readonly publish: (staged: Staged) => Effect.Effect<void, StorageError | Lost | Refused>
}

/** A bucket refused: it is tried again a few times. */
class Refused extends Data.TaggedError("Refused")<{ readonly error: StorageError }> {}

const deliveryOf = (held: Held, handle: Handle, settings: Settings): Delivery => {
  const { account, fence, note, replace, retrieval } = held
  const { destination, retrievalId } = retrieval
  const again = note.sha256 !== undefined
  if (destination.type === "folder") {
    const target = { root: rootOf(settings, account), path: destination.path ?? "", replace, again }
    return {
      prepare: FolderDelivery.check(target),
      publish: ({ path, receipt }) =>
        Effect.zipRight(
          handle.still,
          FolderDelivery.publish({
            ...target,
            from: path,
            sha256: receipt.sha256,
            fence: `${retrievalId}-${fence}`
          })
        )
    }
  }
  const target = { destination, replace, retrievalId, reach: settings.reach }
  return {
    prepare: Effect.gen(function* () {
      if (note.upload !== undefined) {
        yield* Effect.ignoreLogged(S3Delivery.abort(destination, settings.reach, note.upload))
      }
      yield* Effect.catchIf(
        S3Delivery.check(target),
        ({ reason }) => reason !== "Exists",
        () => Effect.void
      )
    }),
    publish: ({ path, receipt }) =>
      Effect.gen(function* () {
        const { bytes, format, sha256 } = receipt
        yield* handle.still
        const publication = { ...target, from: path, bytes, sha256, mediaType: Format.mediaTypes[format] }
        yield* S3Delivery.publish(publication, (upload) => handle.note({ sha256, upload })).pipe(
          Effect.catchIf(
            ({ reason }) => reason !== "Exists",
            (error) => new Refused({ error })
          )
        )
      })
  }
}

type Failures = Exclude<Effect.Effect.Error<ReturnType<typeof stage>>, Lost> | StorageError | Refused

/** How often a bucket may refuse. */
const mostRefusals = 3

const outcomeOf = (error: Failures, { tries }: Held, settings: Settings): Outcome => {
  const failed = (failure: { readonly _tag: string; readonly message: string }): Outcome => {
    const message = maskText(failure.message).replaceAll(`${settings.folder}/`, "")
    return { _tag: "Failed", error: { type: failure._tag, message } }
  }
  switch (error._tag) {
    case "BatchNotCompleted":
      return { _tag: "Look" }
    case "Staging":
      // The lock of a process that has lost this download, and does not know it yet.
      return error.error.reason === "Exists"
        ? { _tag: "Again", seconds: 3, counts: false }
        : failed(error.error)
    case "Refused":
      return tries + 1 < mostRefusals
        ? { _tag: "Again", seconds: tries === 0 ? 30 : 300, counts: true }
        : failed(error.error)
    default:
      return Option.getOrElse(Tries.of(error, tries), () => failed(error))
  }
}
