import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-sandbox"
import { Chunk, DateTime, Effect, Either, Layer, Redacted, Stream } from "effect"
import * as Collection from "../../src/download/Collection.js"
import * as Retrieval from "../../src/download/Retrieval.js"
import * as Verification from "../../src/download/Verification.js"
import * as Batch from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as JobKind from "../../src/model/JobKind.js"
import * as BatchClient from "../../src/status/BatchClient.js"

it.scopedLive(
  "fetches what is not there yet, the first completed first, goes on behind what is dead, and is done the second time",
  () =>
    bench(({ folder, fs, sandbox }) =>
      Effect.gen(function* () {
        const over = { pendingMs: 0, processingMs: 0 }
        // Far enough from each other for a clock that is set back by some milliseconds meanwhile.
        const young = yield* sandbox.createJob({ ...over, processingMs: 1500, records: 3 })
        const old = yield* sandbox.createJob({ ...over, records: 4 })
        const dead = yield* sandbox.createJob({ ...over, processingMs: 100, records: 5 })
        const people = yield* sandbox.createJob({
          ...over,
          processingMs: 200,
          records: 0,
          entity: "person",
          action: "enrich"
        })
        yield* sandbox.createJob({ ...over, outcome: "failed" })
        yield* sandbox.createJob({ stuck: true })
        yield* sandbox.job(dead).deleteObject()
        yield* Effect.repeat(Effect.delay(BatchClient.status(Batch.BatchId.make(young)), "20 millis"), {
          until: ({ status }) => status === "completed"
        })
        const due = yield* outcomes({ folder, dryRun: true })
        expect(due.map(([tag, id]) => [tag, id])).toEqual([old, dead, people, young].map((id) => ["Due", id]))
        expect(yield* fs.exists(folder)).toBe(false)
        const told: Array<string> = []
        const first = yield* outcomes({
          folder,
          atOnce: 1,
          onDue: ({ batchId }) => Effect.sync(() => void told.push(batchId))
        })
        expect(told).toEqual([old, dead, people, young])
        expect(first).toEqual([
          ["Delivered", old, 4],
          ["Failed", dead, "ResultsUnavailable"],
          ["Delivered", people, 0],
          ["Delivered", young, 3]
        ])
        const names = [old, people, young].flatMap((id) => [`${id}.jsonl.gz`, `${id}.receipt.json`])
        const left = (yield* fs.readDirectory(folder)).filter((name) => !name.startsWith(dead))
        expect(left.toSorted()).toEqual(names.toSorted())
        const verified = yield* Verification.verify(folder)
        expect(verified.map((one) => one.verified)).toEqual([true, true, true])
        expect(yield* Verification.verify(`${folder}/${old}.jsonl.gz`)).toMatchObject([{ verified: true }])
        const files = (yield* sandbox.requests).filter(
          ({ path, server }) => server === "storage" && !path.includes(dead)
        )
        yield* fs.writeFileString(`${folder}/${young}.jsonl.gz`, "mine")
        const second = yield* outcomes({ folder, atOnce: 1 })
        expect(second).toEqual([
          ["Present", old, 4],
          ["Failed", dead, "ResultsUnavailable"],
          ["Present", people, 0],
          ["Failed", young, "StorageError"]
        ])
        const after = (yield* sandbox.requests).filter(
          ({ path, server }) => server === "storage" && !path.includes(dead)
        )
        expect(after).toHaveLength(files.length)
        expect(yield* fs.readFileString(`${folder}/${young}.jsonl.gz`)).toBe("mine")
      })
    )
)

it.scopedLive("takes only what was asked for, and what get has left there with a receipt", () =>
  bench(({ folder, sandbox }) =>
    Effect.gen(function* () {
      const over = { pendingMs: 0, processingMs: 0, records: 2 }
      const company = yield* sandbox.createJob(over)
      const person = yield* sandbox.createJob({ ...over, entity: "person", action: "enrich" })
      const kind = JobKind.named("person/enrich")
      expect(yield* outcomes({ folder, dryRun: true, kind })).toEqual([["Due", person, undefined]])
      const now = yield* DateTime.now
      const since = DateTime.addDuration(now, "1 hour")
      expect(yield* outcomes({ folder, dryRun: true, since })).toEqual([])
      const recent = DateTime.subtractDuration(now, "1 hour")
      expect(yield* outcomes({ folder, dryRun: true, since: recent })).toHaveLength(2)
      yield* Retrieval.download(Batch.BatchId.make(company), {
        output: `${folder}/${company}.jsonl.gz`,
        receipt: true
      })
      expect(yield* outcomes({ folder, atOnce: 1 })).toEqual([
        ["Present", company, 2],
        ["Delivered", person, 2]
      ])
    })
  )
)

it.scopedLive("asks nobody where the folder is none", () =>
  bench(({ folder, fs, sandbox }) =>
    Effect.gen(function* () {
      yield* fs.writeFileString(folder, "")
      expect(yield* Effect.flip(outcomes({ folder }))).toMatchObject({ _tag: "StorageError" })
      expect(yield* sandbox.requests).toEqual([])
    })
  )
)

it("reads since when: a date, or how long ago", () => {
  const now = DateTime.unsafeMake("2026-11-28T12:00:00Z")
  const read = (text: string) =>
    Either.match(Collection.parseSince(text, now), { onLeft: (why) => why, onRight: DateTime.formatIso })
  expect(read("2d")).toBe("2026-11-26T12:00:00.000Z")
  expect(read("2026-11-01")).toBe("2026-11-01T00:00:00.000Z")
  expect(read("2026-11-01T08:30:00+02:00")).toBe("2026-11-01T06:30:00.000Z")
  expect(read("yesterday")).toBe(`"yesterday" is neither a date (2026-11-01) nor a duration (2d, 12h)`)
})

/** What became of each job: its id, and its rows or its failure. */
const outcomes = (options: Collection.Options) =>
  Effect.map(Stream.runCollect(Collection.run(options)), (all) =>
    Chunk.toReadonlyArray(all).map((one) => [
      one._tag,
      one.batch.batchId,
      "receipt" in one ? one.receipt.records : "error" in one ? one.error._tag : undefined
    ])
  )

interface Bench {
  readonly sandbox: Sandbox.Service
  readonly fs: FileSystem.FileSystem
  /** Is not there yet. */
  readonly folder: string
}

const bench = <A, E>(test: (bench: Bench) => Effect.Effect<A, E, Retrieval.Needs>) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start()
    const fs = yield* FileSystem.FileSystem
    const folder = `${yield* fs.makeTempDirectoryScoped()}/results`
    const config = BatchConfig.layer({
      baseUrl: sandbox.baseUrl,
      apiKey: Redacted.make(sandbox.apiKey),
      retry: { baseDelay: "2ms", maxDelay: "8ms" },
      transfer: { settle: "0ms" }
    })
    const client = BatchClient.layerOver(config).pipe(Layer.provide(NodeHttpClient.layer))
    return yield* Effect.provide(test({ sandbox, fs, folder }), client)
  }).pipe(Effect.provide(NodeContext.layer))
