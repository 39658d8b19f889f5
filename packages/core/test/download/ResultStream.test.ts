import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { expect, layer } from "@effect/vitest"
import { type Fault, type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Chunk, type Context, Effect, Exit, Layer, Option, Redacted, Schema, Stream } from "effect"
import { gunzipSync, gzipSync } from "node:zlib"
import * as Batch from "../../src/model/Batch.js"
import * as BatchClient from "../../src/status/BatchClient.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as BatchHttp from "../../src/status/BatchHttp.js"
import * as ResultRange from "../../src/download/ResultRange.js"
import * as ResultStream from "../../src/download/ResultStream.js"
import * as Bench from "../Bench.js"

const storage = (effects: Fault.Effects, nth = 1, times = 1): Fault.Rule => ({
  on: { server: "storage", nth },
  times,
  do: effects
})

layer(Bench.upstream, { excludeTestServices: true })("ResultStream", (it) => {
  it.scoped("come in chunks that are as small as they are asked for", () =>
    withJob(
      { records: 400 },
      ({ id, read, services }) =>
        Effect.gen(function* () {
          const batch = yield* BatchClient.status(id)
          for (const format of ["jsonl", "jsonl.gz"] as const) {
            const whole = yield* read(format)
            for (const chunkBytes of [8192, 65_536, undefined]) {
              const chunks: Array<Uint8Array> = []
              yield* ResultStream.run(batch, { format, chunkBytes }, (chunk) =>
                Effect.sync(() => chunks.push(chunk))
              )
              expect(Buffer.concat(chunks).equals(whole)).toBe(true)
              const longest = Math.max(...chunks.map(({ length }) => length))
              const most = Math.min(chunkBytes ?? 262_144, whole.length)
              expect(longest).toBeLessThanOrEqual(most)
              expect(longest).toBeGreaterThan(most / 2)
            }
          }
        }).pipe(Effect.provide(services)),
      { transfer: { blockBytes: 1_048_576, cellBytes: 8_388_608 } }
    )
  )

  it.scoped("a taker that fails ends them, and one that takes its time is waited for", () =>
    withJob({ records: 200 }, ({ id, read, requests, services }) =>
      Effect.gen(function* () {
        const batch = yield* BatchClient.status(id)
        const whole = yield* read("jsonl")
        const taken: Array<Uint8Array> = []
        let underWay = 0
        yield* ResultStream.run(batch, { format: "jsonl", chunkBytes: 4096 }, (chunk) =>
          Effect.gen(function* () {
            expect(++underWay).toBe(1)
            yield* Effect.yieldNow()
            taken.push(chunk)
            underWay -= 1
          })
        )
        expect(Buffer.concat(taken).equals(whole)).toBe(true)
        const before = (yield* requests).length
        const failed = yield* Effect.flip(
          ResultStream.run(batch, { format: "jsonl", chunkBytes: 4096 }, () => Effect.fail("full"))
        )
        expect(failed).toBe("full")
        expect((yield* requests).length - before).toBeLessThanOrEqual(2)
      }).pipe(Effect.provide(services))
    )
  )

  for (const [name, spec] of [
    ["the merged file", { members: 1 }],
    ["several members", { members: 5 }],
    ["part files, one behind the other", { parts: 6, downloadUrl: false }],
    ["one part file", { parts: 1, downloadUrl: false }]
  ] as const) {
    it.scoped(`gives the rows, and the bytes as delivered: ${name}`, () =>
      withJob({ records: 200, ...spec }, ({ read }) =>
        Effect.gen(function* () {
          const rows = yield* read("jsonl")
          const raw = yield* read("jsonl.gz")
          expect(gunzipSync(raw).equals(rows)).toBe(true)
          expect(
            rows
              .toString()
              .trimEnd()
              .split("\n")
              .map((line) => JSON.parse(line))
          ).toHaveLength(200)
        })
      )
    )
  }

  for (const [name, ...rules] of [
    ["from a healthy host"],
    ["from a host that cuts", storage({ cut: { afterBytes: 3000, by: "reset" } }, 2, 2)],
    ["by a link that dies", storage({ expired: true }, 2)],
    ["from a host that ignores ranges", storage({ ignoreRange: true }, 1, -1)]
  ] as const) {
    it.scoped(`parts of one file are those bytes ${name}`, () =>
      withJob({ records: 200 }, ({ id, read, sandbox, services }) =>
        Effect.gen(function* () {
          const raw = yield* read("jsonl.gz")
          const batch = yield* BatchClient.status(id)
          yield* sandbox.clearFaults
          yield* sandbox.script(...rules)
          const file = Option.getOrThrow(yield* ResultRange.file(batch))
          expect(file.total).toBe(raw.length)
          const middle = Math.floor(raw.length / 2)
          for (const [start, end] of [
            [0, raw.length],
            [middle, raw.length],
            [17_000, 17_001],
            [raw.length - 1, raw.length],
            [100, 40_000]
          ] as const) {
            const { exit, read } = yield* collect(
              Stream.provideContext(ResultRange.stream(batch, { file, start, end }), services)
            )
            expect([Exit.isSuccess(exit), read.equals(raw.subarray(start, end))]).toEqual([true, true])
          }
        }).pipe(Effect.provide(services))
      )
    )
  }

  it.scoped(
    "of several files, of plain rows, of nothing, and of a host without strong names there are no parts",
    () =>
      Effect.gen(function* () {
        for (const spec of [
          { parts: 3, downloadUrl: false },
          { records: 0 },
          { outcome: "failed" }
        ] as const) {
          yield* withJob({ records: 50, ...spec }, ({ id, services }) =>
            Effect.gen(function* () {
              expect(yield* ResultRange.file(yield* BatchClient.status(id))).toEqual(Option.none())
            }).pipe(Effect.provide(services))
          )
        }
      })
  )

  it.scoped("an empty result is an empty stream, or an empty member, without a request for the file", () =>
    withJob({ records: 0 }, ({ read, requests }) =>
      Effect.gen(function* () {
        expect(yield* read("jsonl")).toHaveLength(0)
        expect(gunzipSync(yield* read("jsonl.gz"))).toHaveLength(0)
        expect(yield* requests).toHaveLength(0)
      })
    )
  )

  for (const [name, ...rules] of [
    ["a cut by reset", storage({ cut: { afterBytes: 5000, by: "reset" } })],
    ["a cut in the second request", storage({ cut: { afterBytes: 4000, by: "fin" } }, 2)],
    ["three cuts", storage({ cut: { afterBytes: 9000, by: "fin" } }, 2, 3)],
    ["a busy host", storage({ respond: { status: 503, headers: { "retry-after": "0" } } }, 1, 2)],
    [
      "a link that dies on the way",
      storage({ cut: { afterBytes: 9000, by: "fin" } }, 2),
      storage({ expired: true }, 2)
    ],
    ["a host that ignores ranges", storage({ ignoreRange: true }, 1, -1)],
    ["a stall", storage({ stall: { afterBytes: 7000 } }, 2)]
  ] as const) {
    it.scoped(`${name} is mended below`, () =>
      withJob({ records: 100 }, ({ read, sandbox }) =>
        Effect.gen(function* () {
          const clean = yield* read("jsonl")
          yield* sandbox.script(...rules)
          expect((yield* read("jsonl")).equals(clean)).toBe(true)
          expect((yield* sandbox.faults).filter(({ consumed }) => consumed === 0)).toEqual([])
        })
      )
    )
  }

  for (const [name, effects, spec] of [
    ["parts without a last line feed", { text: { unterminated: true } }, { parts: 3, downloadUrl: false }],
    ["parts with zeros behind", { extraBytes: { n: 700, kind: "zeros" } }, { parts: 3, downloadUrl: false }],
    ["a file with many zeros behind", { extraBytes: { n: 400_000, kind: "zeros" } }, {}],
    [
      "parts without compression",
      { text: { plain: true, unterminated: true } },
      { parts: 3, downloadUrl: false }
    ],
    ["a file without compression", { text: { plain: true } }, {}],
    ["a file that is inflated on the way", { inflate: true }, {}],
    ["blank lines", { text: { blankLines: 3 } }, {}],
    ["blank lines that are counted", { text: { blankLines: 3 } }, { resultCount: 66, downloadUrls: false }],
    ["a byte order mark", { text: { bom: true } }, {}]
  ] as const) {
    it.scoped(`${name}: the same records, decompressed and as gzip`, () =>
      withJob({ records: 60, ...spec }, ({ read, sandbox }) =>
        Effect.gen(function* () {
          yield* sandbox.script(storage(effects, 1, -1))
          const rows = (yield* read("jsonl")).toString()
          const raw = gunzipSync(yield* read("jsonl.gz")).toString()
          const records = (text: string) => text.split("\n").filter((line) => line.trim() !== "")
          expect(records(rows).map((line) => JSON.parse(line))).toHaveLength(60)
          expect(records(raw.replace("\ufeff", ""))).toEqual(records(rows))
        })
      )
    )
  }

  for (const [name, spec, rules, expected] of [
    [
      "an object that is replaced on the way",
      {},
      [storage({ cut: { afterBytes: 8000, by: "fin" } }, 2), storage({ changed: true }, 2)],
      { _tag: "ResultsUnavailable", reason: "Changed" }
    ],
    [
      "a host that breaks off for ever",
      {},
      [storage({ cut: { afterBytes: 8000, by: "fin" } }, 2), storage({ hang: true }, 2, -1)],
      { _tag: "TransferFailed", reason: "Stalled" }
    ],
    [
      "bytes that are damaged",
      {},
      [storage({ flipByte: { at: 20_000 } }, 1, -1)],
      { _tag: "ResultsCorrupt", reason: "Gzip" }
    ],
    [
      "junk behind the end",
      {},
      [storage({ extraBytes: { n: 50, kind: "junk" } }, 1, -1)],
      { _tag: "ResultsCorrupt", reason: "Gzip" }
    ],
    ["too few rows", { resultCount: 101 }, [], { _tag: "ResultsCorrupt", reason: "RowCount" }],
    ["too many rows", { resultCount: 99 }, [], { _tag: "ResultsCorrupt", reason: "RowCount" }]
  ] as const) {
    it.scoped(`${name}: what was read is a prefix, and the stream fails`, () =>
      withJob({ records: 100, ...spec }, ({ sandbox, stream }) =>
        Effect.gen(function* () {
          const clean = yield* collect(stream("jsonl"))
          yield* sandbox.script(...rules)
          const { exit, read } = yield* collect(stream("jsonl"))
          expect(Bench.failureOf(exit)).toMatchObject(expected)
          if (name !== "bytes that are damaged") {
            expect(clean.read.subarray(0, read.length).equals(read)).toBe(true)
          }
        })
      )
    )
  }

  it.scoped("part files go on where a merged file ends that has not all rows", () =>
    withJob({ records: 200, members: 4, parts: 3 }, ({ read, sandbox, stream }) =>
      Effect.gen(function* () {
        const [rows, raw] = [yield* read("jsonl"), yield* read("jsonl.gz")]
        const last = raw.lastIndexOf(gzipSync("").subarray(0, 4))
        yield* sandbox.script({
          on: { server: "storage", path: "merged" },
          times: -1,
          do: { fewerBytes: { n: raw.length - last } }
        })
        expect((yield* read("jsonl")).equals(rows)).toBe(true)
        expect(Bench.failureOf((yield* collect(stream("jsonl.gz"))).exit)).toMatchObject({
          _tag: "ResultsCorrupt",
          reason: "RowCount"
        })
      })
    )
  )

  it.scoped("unless they begin otherwise", () =>
    withJob({ records: 200, members: 4, parts: 3 }, ({ read, sandbox, stream }) =>
      Effect.gen(function* () {
        const raw = yield* read("jsonl.gz")
        const last = raw.lastIndexOf(gzipSync("").subarray(0, 4))
        yield* sandbox.script(
          {
            on: { server: "storage", path: "merged" },
            times: -1,
            do: { fewerBytes: { n: raw.length - last } }
          },
          { on: { server: "storage", path: "part-000" }, do: { changed: true } }
        )
        const clean = (yield* collect(stream("jsonl"))).exit
        expect(Bench.failureOf(clean)).toMatchObject({
          actual: "other rows in the part files than in the merged file"
        })
      })
    )
  )

  for (const [name, spec, fields, times] of [
    ["links come late", {}, { download_url: null, download_urls: [] }, 2],
    ["count comes late, and is lower first", { downloadUrls: false }, { result_count: 20 }, 1],
    ["count comes late, and is higher first", { downloadUrls: false }, { result_count: 90 }, 2],
    ["count comes late although it has parts", {}, { result_count: 20 }, 2]
  ] as const) {
    for (const format of ["jsonl", "jsonl.gz"] as const) {
      it.scoped(`a job whose ${name} is whole in the end: ${format}`, () =>
        withJob(
          { records: 60, ...spec },
          ({ id, read, sandbox }) =>
            Effect.gen(function* () {
              const clean = yield* read(format)
              const answer = yield* Effect.promise(() =>
                fetch(`${sandbox.baseUrl}/batch/${id}`, {
                  headers: { authorization: `Bearer ${sandbox.apiKey}` }
                }).then((response) => response.json())
              )
              const body = JSON.stringify({ ...Object(answer), ...fields })
              yield* sandbox.script({
                on: { server: "api", path: id },
                times,
                do: { respond: { status: 200, body } }
              })
              expect((yield* read(format)).equals(clean)).toBe(true)
              expect((yield* sandbox.faults).map(({ consumed }) => consumed)).toEqual([times])
            }),
          { settle: "400ms" }
        )
      )
    }
  }

  it.scoped("an object that grows until its count is right goes on where it ended", () =>
    withJob(
      { records: 200, members: 4, downloadUrls: false },
      ({ read, sandbox }) =>
        Effect.gen(function* () {
          const [rows, raw] = [yield* read("jsonl"), yield* read("jsonl.gz")]
          const last = raw.lastIndexOf(gzipSync("").subarray(0, 4))
          yield* sandbox.script({
            on: { server: "storage", path: "merged" },
            times: 2,
            do: { fewerBytes: { n: raw.length - last }, etag: "other", ignoreIfMatch: true }
          })
          expect((yield* read("jsonl")).equals(rows)).toBe(true)
        }),
      { settle: "400ms" }
    )
  )

  for (const [name, spec, tag] of [
    ["a running job", { stuck: true }, "BatchNotCompleted"],
    ["a failed job", { outcome: "failed" }, "BatchFailed"],
    ["a job without links", { downloadUrl: false, downloadUrls: false }, "ResultsUnavailable"]
  ] as const) {
    it.scoped(`${name} fails before its first byte`, () =>
      withJob({ records: 5, ...spec }, ({ stream }) =>
        Effect.gen(function* () {
          const { exit, read } = yield* collect(stream("jsonl"))
          expect(read).toHaveLength(0)
          expect(Bench.failureOf(exit)?._tag).toBe(tag)
        })
      )
    )
  }

  it.scoped("a reader that pauses pauses the transfer, and one that stops ends it", () =>
    withJob({ records: 12_000, recordBytes: 5000, parts: 1 }, ({ requests, stream }) =>
      Effect.gen(function* () {
        const first = yield* stream("jsonl").pipe(
          Stream.tap(() => Effect.sleep("700 millis")),
          Stream.take(1),
          Stream.runCollect
        )
        expect(Chunk.size(first)).toBe(1)
        const sent = yield* settled(
          Effect.map(requests, (all) => all.reduce((sum, { bytesSent }) => sum + bytesSent, 0))
        )
        const all = Buffer.concat(Chunk.toReadonlyArray(yield* Stream.runCollect(stream("jsonl.gz")))).length
        expect(sent).toBeLessThan(all)
      })
    )
  )

  it.scoped("a slow reader is no stall", () =>
    withJob({ records: 300, members: 3 }, ({ read, requests, stream }) =>
      Effect.gen(function* () {
        const clean = yield* read("jsonl")
        const before = (yield* requests).length
        let pauses = 0
        const slow = yield* collect(
          stream("jsonl").pipe(Stream.tap(() => (pauses++ < 3 ? Effect.sleep("900 millis") : Effect.void)))
        )
        expect(slow.read.equals(clean)).toBe(true)
        expect(pauses).toBeGreaterThan(3)
        expect((yield* requests).length - before).toBe(2)
      })
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

interface World {
  readonly services: Context.Context<ResultStream.Needs>
  readonly id: Batch.BatchId
  readonly sandbox: Sandbox.Service
  readonly stream: (format: "jsonl" | "jsonl.gz") => Stream.Stream<Uint8Array, ResultStream.StreamError>
  readonly read: (format: "jsonl" | "jsonl.gz") => Effect.Effect<Buffer, ResultStream.StreamError>
  /** Requests for the job's files. */
  readonly requests: Effect.Effect<ReadonlyArray<Sandbox.RequestRecord>>
}

/** A figure once it has not changed for a while. */
const settled = (figure: Effect.Effect<number>): Effect.Effect<number> =>
  Effect.iterate(
    { value: Number.NaN, same: 0 },
    {
      while: ({ same }) => same < 8,
      body: ({ same, value }) =>
        Effect.map(Effect.delay(figure, "25 millis"), (now) => ({
          value: now,
          same: now === value ? same + 1 : 0
        }))
    }
  ).pipe(Effect.map(({ value }) => value))

/** What was read, and how it ended. */
const collect = <E>(stream: Stream.Stream<Uint8Array, E>) =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    const exit = yield* Effect.exit(
      Stream.runForEach(stream, (chunk) => Effect.sync(() => chunks.push(chunk)))
    )
    return { exit, read: Buffer.concat(chunks) }
  })

const withJob = <A, E>(
  spec: JobSpec.JobSpec,
  use: (world: World) => Effect.Effect<A, E>,
  { transfer = { cellBytes: 16_384, blockBytes: 4096 }, settle = "0ms" } = {}
) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.Sandbox
    yield* sandbox.clearFaults
    const id = yield* Schema.decode(Batch.BatchId)(
      yield* sandbox.createJob({ recordBytes: 2000, pendingMs: 0, processingMs: 0, ...spec })
    )
    const services = yield* Layer.build(
      BatchClient.layer.pipe(
        Layer.provideMerge(BatchHttp.layer),
        Layer.provideMerge(
          BatchConfig.layer({
            baseUrl: sandbox.baseUrl,
            apiKey: Redacted.make(sandbox.apiKey),
            poll: { initialDelay: "20ms", minDelay: "10ms", maxDelay: "60ms" },
            retry: { baseDelay: "2ms", maxDelay: "8ms", throttledBaseDelay: "2ms", throttledMaxDelay: "8ms" },
            transfer: { settle, idleTimeout: "800ms", ...transfer }
          })
        ),
        Layer.provide(NodeHttpClient.layer)
      )
    )
    const stream = (format: "jsonl" | "jsonl.gz") =>
      Stream.unwrap(Effect.map(BatchClient.status(id), (batch) => ResultStream.make(batch, { format }))).pipe(
        Stream.provideContext(services)
      )
    return yield* use({
      services,
      id,
      sandbox,
      stream,
      read: (format) => Effect.flatMap(collect(stream(format)), ({ exit, read }) => Exit.as(exit, read)),
      requests: Effect.map(sandbox.requests, (all) =>
        all.filter(({ path, server }) => server === "storage" && path.includes(id))
      )
    })
  }).pipe(Effect.provide(NodeContext.layer))
