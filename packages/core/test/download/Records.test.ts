import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Effect, Either, Layer, Redacted, Schema, Stream } from "effect"
import { gzipSync } from "node:zlib"
import * as Batch from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import type * as Event from "../../src/download/Event.js"
import * as Records from "../../src/download/Records.js"
import * as BatchClient from "../../src/status/BatchClient.js"

const Envelope = Schema.Struct({ original_identifier: Schema.String, internal_id: Schema.Number })

const Company = Schema.Struct({ internal_id: Schema.Number, data: Schema.Struct({}) })

const lines = ['{"id":1}', "no", '{"id":"2"}', '{"id":3}', '{"id":4}']

const Row = Schema.Struct({ id: Schema.Number })

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), (all) => [...all])

/** What was read before a stream ended, and how it ended. */
const ending = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.gen(function* () {
    const read: Array<A> = []
    const end = yield* Effect.either(
      Stream.runForEach(stream, (record) => Effect.sync(() => read.push(record)))
    )
    return { read, end }
  })

describe("Records.ofBatch", () => {
  it.scopedLive(
    "waits, and gives every record once, in order, over a connection that breaks, and tells of it all",
    () =>
      withJob({ records: 200, pendingMs: 50, processingMs: 100 }, ({ events, id, sandbox, tell }) =>
        Effect.gen(function* () {
          yield* sandbox.script({
            on: { server: "storage", nth: 2 },
            do: { cut: { afterBytes: 5000, by: "reset" } }
          })
          const options = { deadline: "1 minute", onEvent: tell } as const
          const records = yield* collect(Records.ofBatch(id, options))
          expect(records).toHaveLength(200)
          expect(records.every((record) => "data" in record)).toBe(true)
          const envelopes = yield* collect(Records.ofBatch(id, { ...options, schema: Envelope }))
          expect(envelopes).toEqual(
            records.map(({ internal_id, original_identifier }) => ({ internal_id, original_identifier }))
          )
          const companies = yield* collect(Records.ofBatch(id, { ...options, schema: Company }))
          expect(companies.map((company) => company.internal_id)).toEqual(
            envelopes.map((envelope) => envelope.internal_id)
          )
          expect((yield* sandbox.faults).map(({ consumed }) => consumed)).toEqual([1])
          expect(new Set(events.map(({ _tag }) => _tag))).toEqual(
            new Set(["Status", "Planned", "Progress", "Retrying"])
          )
          expect(events.find(({ _tag }) => _tag === "Status")).toMatchObject({ batch: { batchId: id } })
          const progress = events.filter((event) => event._tag === "Progress")
          const last = progress.at(-1)
          expect(last).toMatchObject({ records: 200, resumedBytes: 0, totalBytes: last?.bytes })
          expect(last?.bytes).toBeGreaterThan(21_384)
          expect((yield* sandbox.requests).filter(({ path }) => path.includes("part-"))).toEqual([])
        })
      )
  )

  it.scopedLive(
    "does not look whole when rows are missing, and ends the transfer when its reader stops",
    () =>
      withJob({ records: 300, resultCount: 301, downloadUrls: false }, ({ id, sandbox }) =>
        Effect.gen(function* () {
          const { end, read } = yield* ending(Records.ofBatch(id, { deadline: "1 minute" }))
          expect(read).toHaveLength(300)
          expect(end).toMatchObject({ left: { _tag: "ResultsCorrupt", reason: "RowCount" } })
          yield* sandbox.script({
            on: { server: "storage" },
            times: -1,
            do: { trickle: { bytesPerSecond: 200_000 } }
          })
          const some = Records.ofBatch(id, { deadline: "1 minute" }).pipe(Stream.take(3))
          expect(yield* Stream.runCount(some)).toBe(3)
        })
      )
  )

  it.scopedLive("an empty result is a stream without records, a failed job a failure", () =>
    Effect.gen(function* () {
      yield* withJob({ records: 0 }, ({ id }) =>
        Effect.gen(function* () {
          expect(yield* collect(Records.ofBatch(id, { deadline: 60 }))).toEqual([])
        })
      )
      yield* withJob({ outcome: "failed", errorMessage: "no" }, ({ id }) =>
        Effect.gen(function* () {
          const { end } = yield* ending(Records.ofBatch(id, { deadline: 60 }))
          expect(end).toMatchObject({ left: { _tag: "BatchFailed", errorMessage: "no" } })
        })
      )
    })
  )
})

describe("Records.ofFile", () => {
  const text = Buffer.from(`${lines.join("\n")}\n`)

  for (const [name, bytes] of [
    ["rows.jsonl", text],
    ["rows.jsonl.gz", gzipSync(text)],
    ["named-otherwise.txt", Buffer.concat([gzipSync(text.subarray(0, 13)), gzipSync(text.subarray(13))])]
  ] as const) {
    it.scopedLive(`reads ${name} by its content, and does about invalid lines what it is told`, () =>
      withFile(name, bytes, (path) =>
        Effect.gen(function* () {
          const options = { schema: Row }
          const failing = yield* ending(Records.ofFile(path, options))
          expect(failing.read).toEqual([{ id: 1 }])
          expect(failing.end).toMatchObject({ left: { _tag: "RecordInvalid", line: 2, offset: 9 } })
          const rest = [{ id: 1 }, { id: 3 }, { id: 4 }]
          expect(yield* collect(Records.ofFile(path, { ...options, onInvalid: "skip" }))).toEqual(rest)
          const told: Array<number> = []
          const tell = ({ line }: { readonly line: number }) => Effect.sync(() => told.push(line))
          expect(yield* collect(Records.ofFile(path, { ...options, onInvalid: tell }))).toEqual(rest)
          expect(told).toEqual([2, 3])
          const stop = ({ line }: { readonly line: number }) =>
            line === 3 ? Effect.fail("enough" as const) : Effect.void
          const stopped = yield* ending(Records.ofFile(path, { ...options, onInvalid: stop }))
          expect(stopped).toEqual({ read: [{ id: 1 }], end: Either.left("enough") })
          expect(yield* collect(Records.ofFile(path, { onInvalid: "skip" }))).toHaveLength(4)
          const events: Array<Event.Event> = []
          yield* Stream.runDrain(
            Records.ofFile(path, {
              onInvalid: "skip",
              onEvent: (event) => Effect.sync(() => events.push(event))
            })
          )
          expect(events.at(-1)).toMatchObject({ bytes: bytes.length, totalBytes: bytes.length, records: 5 })
        })
      )
    )
  }

  it.scopedLive("a file that is cut off, is something else, or is not there is a failure of its own", () =>
    Effect.gen(function* () {
      const gzip = gzipSync(text)
      for (const bytes of [gzip.subarray(0, -5), Buffer.from("<html>"), Buffer.from("id,name\n1,a\n")]) {
        yield* withFile("rows.jsonl.gz", bytes, (path) =>
          Effect.gen(function* () {
            const { end } = yield* ending(Records.ofFile(path, { onInvalid: "skip" }))
            expect(end).toMatchObject({ left: { _tag: "ResultsCorrupt", reason: "Gzip", file: path } })
          })
        )
      }
      yield* withFile("empty.jsonl", Buffer.alloc(0), (path) =>
        Effect.gen(function* () {
          expect(yield* collect(Records.ofFile(path))).toEqual([])
          const { end } = yield* ending(Records.ofFile(`${path}.gone`))
          expect(end).toMatchObject({ left: { _tag: "StorageError", path: `${path}.gone` } })
        })
      )
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const withFile = <A, E>(
  name: string,
  bytes: Uint8Array,
  use: (path: string) => Effect.Effect<A, E, FileSystem.FileSystem | BatchConfig.BatchConfig>
) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = `${yield* fs.makeTempDirectoryScoped()}/${name}`
    yield* fs.writeFile(path, bytes)
    return yield* use(path)
  }).pipe(Effect.provide(Layer.merge(NodeContext.layer, BatchConfig.layer())))

interface World {
  readonly id: Batch.BatchId
  readonly sandbox: Sandbox.Service
  readonly events: ReadonlyArray<Event.Event>
  readonly tell: Event.Emit
}

const withJob = <A, E>(
  spec: JobSpec.JobSpec,
  use: (world: World) => Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof coreOf>>>
) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const id = yield* Schema.decode(Batch.BatchId)(yield* sandbox.createJob({ recordBytes: 2000, ...spec }))
    const events: Array<Event.Event> = []
    const tell: Event.Emit = (event) => Effect.sync(() => void events.push(event))
    return yield* Effect.provide(use({ id, sandbox, events, tell }), coreOf(sandbox))
  })

const coreOf = ({ apiKey, baseUrl }: Sandbox.Service) =>
  BatchClient.layerOver(
    BatchConfig.layer({
      baseUrl,
      apiKey: Redacted.make(apiKey),
      poll: { initialDelay: "20ms", minDelay: "10ms", maxDelay: "60ms" },
      retry: { baseDelay: "2ms", maxDelay: "8ms" },
      transfer: { settle: "0ms", cellBytes: 16_384, blockBytes: 4096 }
    })
  ).pipe(Layer.provide(NodeHttpClient.layer))
