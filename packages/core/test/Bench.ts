/** A download on the bench: a job of the sandbox, small cells and blocks, and everything that can be seen of it. */
import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Cause, Effect, type Exit, Layer, Option, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import { gunzipSync } from "node:zlib"
import * as Batch from "../src/model/Batch.js"
import * as BatchClient from "../src/status/BatchClient.js"
import * as BatchConfig from "../src/model/BatchConfig.js"
import * as Retrieval from "../src/download/Retrieval.js"

/** Sizes that make a small file one of many cells and blocks. */
export const sizes = { blockBytes: 4096, cellBytes: 8192, syncBytes: 8192 }

/** One job, and a folder for its results. */
export interface Bench {
  readonly sandbox: Sandbox.Service
  readonly fs: FileSystem.FileSystem
  readonly id: Batch.BatchId
  readonly folder: string
  /** Downloads with the bench's settings; events are pushed to `events`. */
  readonly download: (
    output: string,
    options?: Partial<Retrieval.DownloadOptions> & { readonly events?: Array<Retrieval.Event> }
  ) => ReturnType<typeof Retrieval.download> extends Effect.Effect<infer A, infer E, unknown>
    ? Effect.Effect<A, E>
    : never
  /** Requests for the job's files. */
  readonly requests: Effect.Effect<ReadonlyArray<Sandbox.RequestRecord>>
  /** Requests for the job's status. */
  readonly statusCalls: Effect.Effect<number>
}

/** One upstream for all jobs of a test file. */
export const upstream = Sandbox.layer({
  clock: { pendingMs: 0, processingMs: 0 },
  rateLimit: { limit: 1_000_000, windowSeconds: 1 }
})

/** A completed job on the shared upstream, without any faults yet. */
export const make = (
  spec: JobSpec.JobSpec,
  options: {
    readonly transfer?: BatchConfig.Options["transfer"]
    readonly retry?: BatchConfig.Options["retry"]
    /** A job that is there already. */
    readonly id?: Batch.BatchId | undefined
    /** In place of Node's, for faults of the disk. */
    readonly fileSystem?: ((fs: FileSystem.FileSystem) => FileSystem.FileSystem) | undefined
  } = {}
) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.Sandbox
    yield* sandbox.clearFaults
    const fs = yield* FileSystem.FileSystem
    const id = options.id ?? (yield* createJob(sandbox, spec))
    const folder = yield* fs.makeTempDirectoryScoped()
    const disk = options.fileSystem === undefined ? fs : options.fileSystem(fs)
    const config = BatchConfig.layer({
      baseUrl: sandbox.baseUrl,
      apiKey: Redacted.make(sandbox.apiKey),
      retry: {
        baseDelay: "2ms",
        maxDelay: "8ms",
        throttledBaseDelay: "2ms",
        throttledMaxDelay: "8ms",
        maxRetryAfter: "2s",
        ...options.retry
      },
      poll: { initialDelay: "20ms", minDelay: "10ms", maxDelay: "60ms" },
      transfer: {
        idleTimeout: "10s",
        syncInterval: "20ms",
        maxConnections: 4,
        settle: "0ms",
        ...sizes,
        ...options.transfer
      }
    })
    const needs = BatchClient.layerOver(config).pipe(
      Layer.provide(NodeHttpClient.layer),
      Layer.provideMerge(NodeContext.layer)
    )
    const services = yield* Layer.build(needs)
    const bench: Bench = {
      sandbox,
      fs,
      id,
      folder,
      download: (output, { events, ...download } = {}) =>
        Retrieval.download(id, {
          output,
          onEvent: (event) => Effect.sync(() => void events?.push(event)),
          ...download
        }).pipe(Effect.provideService(FileSystem.FileSystem, disk), Effect.provide(services)),
      requests: Effect.map(sandbox.requests, (all) =>
        all.filter(({ path, server }) => server === "storage" && path.includes(id))
      ),
      statusCalls: Effect.map(
        sandbox.requests,
        (all) => all.filter(({ path, server }) => server === "api" && path.endsWith(id)).length
      )
    }
    return bench
  }).pipe(Effect.provide(NodeContext.layer))

const createJob = (sandbox: Sandbox.Service, spec: JobSpec.JobSpec) =>
  Effect.flatMap(
    sandbox.createJob({ records: 100, recordBytes: 2000, ...spec }),
    Schema.decode(Batch.BatchId)
  )

/** What a download delivered: one file, or the files of its folder. */
export const delivered = ({ folder, fs }: Bench, name: string) =>
  Effect.gen(function* () {
    const { type } = yield* fs.stat(`${folder}/${name}`)
    if (type === "Directory") return yield* contents(fs, `${folder}/${name}`)
    return new Map([["", nameOf(yield* fs.readFile(`${folder}/${name}`))]])
  })

/** The text of a gzip file that was delivered, whatever its bytes. */
export const rowsOf = ({ folder, fs }: Bench, name: string) =>
  Effect.map(fs.readFile(`${folder}/${name}`), (bytes) => gunzipSync(bytes).toString())

/** All files of a folder, by name, each as its length and SHA-256: comparing them byte by byte is what costs. */
export const contents = (fs: FileSystem.FileSystem, folder: string) =>
  Effect.flatMap(fs.readDirectory(folder), (names) =>
    Effect.map(
      Effect.forEach(names.toSorted(), (name) =>
        Effect.map(fs.readFile(`${folder}/${name}`), (bytes) => [name, nameOf(bytes)] as const)
      ),
      (entries) => new Map(entries)
    )
  )

const nameOf = (bytes: Uint8Array): string =>
  `${bytes.length} bytes ${createHash("sha256").update(bytes).digest("hex")}`

/** What a progress line would show must never go back, and never go above the whole. */
export const progressFaults = (events: ReadonlyArray<Retrieval.Event>): ReadonlyArray<string> => {
  let last = { bytes: 0, records: 0 }
  return events.flatMap((event) => {
    if (event._tag === "Restarted") last = { bytes: 0, records: 0 }
    if (event._tag !== "Progress") return []
    const faults = [
      event.bytes < last.bytes ? `bytes went back from ${last.bytes} to ${event.bytes}` : "",
      event.records < last.records ? `records went back from ${last.records} to ${event.records}` : "",
      event.bytes > (event.totalBytes ?? Number.POSITIVE_INFINITY)
        ? `${event.bytes} of ${event.totalBytes} bytes`
        : ""
    ].filter((fault) => fault !== "")
    last = event
    return faults
  })
}

/** The failure of a download that ended, if it failed at all. */
export const failureOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  exit._tag === "Failure" ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined
