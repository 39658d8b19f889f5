/** For tests: a sandbox, a store and a worker against it. */
import type { FileSystem, HttpClient, Path } from "@effect/platform"
import { BatchId } from "@org/batch-core/Batch"
import type { BatchConfig } from "@org/batch-core/BatchConfig"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { Effect, Layer, Schema, Stream } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Account from "../src/Account.js"
import * as Embedded from "../src/Embedded.js"
import * as Reach from "../src/Reach.js"
import type { Retrieval } from "../src/Retrieval.js"
import type { StoreRefused } from "../src/RetrievalError.js"
import * as Retrievals from "../src/Retrievals.js"
import * as Settings from "../src/Settings.js"
import type { Store } from "../src/Store.js"
import * as Worker from "../src/Worker.js"

/** A folder that goes with the scope. */
export const emptyFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "batch-durable-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

export type Base = Sandboxes.Sandbox | BatchConfig | HttpClient.HttpClient | FileSystem.FileSystem | Path.Path

interface Options {
  readonly settings?: Partial<Settings.Options>
  readonly sandbox?: Sandboxes.Options
  readonly store?: Layer.Layer<Store, StoreRefused>
}

/** All that a service with a worker of its own has. */
export const layer = (folder: string, options: Options = {}) =>
  Layer.provideMerge(Worker.layer, withoutWorker(folder, options))

/** All that a service has, and a worker needs. */
export const withoutWorker = (folder: string, options: Options = {}) =>
  Retrievals.layer.pipe(
    Layer.provideMerge(Account.layer),
    Layer.provideMerge(options.store ?? Embedded.layer(join(folder, "store"))),
    Layer.provideMerge(
      Settings.layer({
        folder: join(folder, "out"),
        reach: Reach.anywhere,
        requestsAMinute: 6000,
        ...options.settings
      })
    ),
    Layer.provideMerge(Sandboxes.layer(options.sandbox))
  )

/** Hands a batch over to a file. */
export const handOver = (batchId: BatchId, path: string, more: object = {}) =>
  Effect.flatMap(Retrievals.Retrievals, (retrievals) =>
    retrievals.enqueue(Account.ofService, { batchId, destination: { type: "folder", path }, ...more })
  )

/** The retrieval at its end. */
export const ended = (id: string, account = Account.ofService) =>
  Effect.flatMap(Retrievals.Retrievals, (retrievals) =>
    Effect.map(Stream.runLast(retrievals.watch(account, id)), (last): Retrieval | undefined =>
      last._tag === "Some" ? last.value : undefined
    )
  )

/** The id of a batch that is not there. */
export const otherId = Schema.decode(BatchId)("01234567-89ab-4cde-8f01-23456789abcd")

/** Asks again and again until the answer is as it should be. */
export const eventually = <A, E, R>(
  ask: Effect.Effect<A, E, R>,
  fits: (answer: A) => boolean
): Effect.Effect<A, E, R> =>
  Effect.flatMap(ask, (answer) =>
    fits(answer) ? Effect.succeed(answer) : Effect.zipRight(Effect.sleep("100 millis"), eventually(ask, fits))
  )

/** Waits until the newest retrieval of a batch is as it should be. */
export const until = (batchId: BatchId, fits: (retrieval: Retrieval) => boolean) =>
  Effect.flatMap(Retrievals.Retrievals, (retrievals) =>
    eventually(
      retrievals.list(Account.ofService, { batchId, limit: 1 }),
      ({ retrievals: [newest] }) => newest !== undefined && fits(newest)
    )
  )
