import { FileSystem } from "@effect/platform"
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Effect, Fiber, Layer, Option, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import { gunzipSync } from "node:zlib"
import * as Download from "../../src/download/Download.js"
import type * as Event from "../../src/download/Event.js"
import * as Batch from "../../src/model/Batch.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import type * as BatchHttp from "../../src/status/BatchHttp.js"
import * as BatchClient from "../../src/status/BatchClient.js"

describe("Download.fetch", () => {
  it.scopedLive(
    "fetches, proves and publishes what is behind a link, in either form, and asks the API nothing",
    () =>
      withJob({ records: 200 }, ({ asked, events, folder, fs, sign, tell }) =>
        Effect.gen(function* () {
          const link = yield* sign
          const before = yield* asked
          const to = `${folder}/new/rows.jsonl.gz`
          const fetched = yield* Download.fetch(link, { to, expectedRows: 200, onEvent: tell })
          const bytes = yield* fs.readFile(to)
          expect(fetched).toMatchObject({
            output: to,
            bytes: bytes.length,
            sha256: createHash("sha256").update(bytes).digest("hex"),
            records: 200,
            resumedBytes: 0,
            linkRefreshes: 0
          })
          expect(fetched.etag).toMatch(/^".+"$/u)
          expect(gunzipSync(bytes).toString().trimEnd().split("\n")).toHaveLength(200)
          const plain = yield* Download.fetch(Redacted.value(link), {
            to: `${folder}/rows.jsonl`,
            format: "jsonl"
          })
          expect(plain).toMatchObject({ records: 200, bytes: gunzipSync(bytes).length })
          expect(gunzipSync(bytes).equals(yield* fs.readFile(`${folder}/rows.jsonl`))).toBe(true)
          expect((yield* fs.readDirectory(folder)).toSorted()).toEqual(["new", "rows.jsonl"])
          expect(yield* fs.readDirectory(`${folder}/new`)).toEqual(["rows.jsonl.gz"])
          expect(events.filter((event) => event._tag === "Progress").at(-1)).toMatchObject({
            bytes: bytes.length,
            totalBytes: bytes.length,
            records: 200
          })
          expect(yield* asked).toBe(before)
          expect(yield* Effect.flip(Download.fetch(link, { to }))).toMatchObject({
            _tag: "StorageError",
            reason: "Exists"
          })
          expect(yield* Download.fetch(link, { to, force: true })).toMatchObject({ records: 200 })
        })
      )
  )

  it.scopedLive("goes on where an interrupted run ended, over a fresh link to the same file", () =>
    withJob({ records: 400 }, ({ events, folder, sandbox, sign, tell }) =>
      Effect.gen(function* () {
        const to = `${folder}/rows.jsonl.gz`
        yield* sandbox.script({
          on: { server: "storage" },
          times: -1,
          do: { trickle: { bytesPerSecond: 100_000 } }
        })
        const fiber = yield* Effect.fork(Download.fetch(yield* sign, { to, onEvent: tell }))
        while (!events.some((event) => event._tag === "Progress" && event.bytes > 60_000)) {
          yield* Effect.sleep("5 millis")
        }
        yield* Fiber.interrupt(fiber)
        yield* sandbox.clearFaults
        const { records, resumedBytes } = yield* Download.fetch(sign, { to, expectedRows: 400 })
        expect(records).toBe(400)
        expect(resumedBytes).toBeGreaterThan(40_000)
      })
    )
  )

  it.scopedLive("asks the effect for a fresh link when one is past its time, and keeps every byte", () =>
    withJob({ records: 200 }, ({ events, folder, id, sandbox, sign, tell }) =>
      Effect.gen(function* () {
        let signed = 0
        const counted = Effect.zipLeft(
          sign,
          Effect.sync(() => (signed += 1))
        )
        yield* sandbox.script({ on: { server: "storage", nth: 3 }, do: { expired: true } })
        const fetched = yield* Download.fetch(counted, { to: `${folder}/a.jsonl.gz`, onEvent: tell })
        expect(fetched).toMatchObject({ records: 200, linkRefreshes: 1 })
        expect([signed, events.filter(({ _tag }) => _tag === "LinkRefreshed").length]).toEqual([2, 1])
        // what signs may fail in words of its own, at the beginning and in the middle
        const refusing = Effect.suspend(() =>
          (signed += 1) > 3 ? Effect.fail("no more links" as const) : sign
        )
        yield* sandbox.script({ on: { server: "storage" }, times: -1, do: { expired: true } })
        const failed = Download.fetch(refusing, { to: `${folder}/b.jsonl.gz` })
        expect(yield* Effect.flip(failed)).toBe("no more links")
        expect(yield* Effect.flip(Download.fetch(Effect.fail("none"), { to: `${folder}/b.jsonl.gz` }))).toBe(
          "none"
        )
        expect(id).toBeDefined()
      })
    )
  )

  it.scopedLive("a link alone that has ended is told at once, after one request, and never shown", () =>
    withJob({ records: 20 }, ({ folder, sandbox, sign }) =>
      Effect.gen(function* () {
        const link = yield* sign
        const requests = Effect.map(
          sandbox.requests,
          (all) => all.filter(({ server }) => server === "storage").length
        )
        yield* sandbox.script({ on: { server: "storage" }, times: -1, do: { expired: true } })
        const error = yield* Effect.flip(Download.fetch(link, { to: `${folder}/a.jsonl.gz` }))
        expect(error).toMatchObject({ _tag: "ResultsUnavailable", reason: "Expired" })
        expect(`${error.message}${String(error)}`).not.toMatch(/Signature|Credential/u)
        expect(yield* requests).toBe(1)
        yield* sandbox.clearFaults
        yield* sandbox.script({ on: { server: "storage" }, times: -1, do: { respond: { status: 404 } } })
        expect(yield* Effect.flip(Download.fetch(link, { to: `${folder}/a.jsonl.gz` }))).toMatchObject({
          _tag: "ResultsUnavailable",
          reason: "Missing"
        })
        for (const bad of ["no url", "ftp://files.test/x", ""]) {
          expect(yield* Effect.flip(Download.fetch(bad, { to: `${folder}/a.jsonl.gz` }))).toMatchObject({
            _tag: "ResultsUnavailable",
            reason: "NoLink"
          })
        }
      })
    )
  )

  it.scopedLive("publishes nothing that is not what was expected", () =>
    withJob({ records: 20 }, ({ folder, fs, sandbox, sign }) =>
      Effect.gen(function* () {
        const to = `${folder}/rows.jsonl.gz`
        const short = yield* Effect.flip(Download.fetch(sign, { to, expectedRows: 21 }))
        expect(short).toMatchObject({
          _tag: "ResultsCorrupt",
          reason: "RowCount",
          expected: "21 rows (expectedRows)",
          actual: "20 rows",
          kept: Option.some(`${to}.corrupt`)
        })
        expect(yield* fs.readDirectory(folder)).toEqual(["rows.jsonl.gz.corrupt"])
        yield* sandbox.script({ on: { server: "storage" }, times: -1, do: { garbage: {} } })
        expect(yield* Effect.flip(Download.fetch(sign, { to }))).toMatchObject({
          _tag: "ResultsCorrupt",
          reason: "Encoding"
        })
        expect(yield* fs.exists(to)).toBe(false)
      })
    )
  )

  it.scopedLive("all downloads over one client share one retry budget for the file host", () =>
    withJob(
      { records: 20 },
      ({ folder, sandbox, sign }) =>
        Effect.gen(function* () {
          yield* sandbox.script({ on: { server: "storage" }, times: -1, do: { respond: { status: 500 } } })
          const requests = Effect.map(
            sandbox.requests,
            (all) => all.filter(({ server }) => server === "storage").length
          )
          const link = yield* sign
          const fail = (name: string) => Effect.flip(Download.fetch(link, { to: `${folder}/${name}` }))
          expect(yield* fail("a.jsonl.gz")).toMatchObject({ _tag: "TransferFailed", attempts: 4 })
          expect(yield* requests).toBe(4)
          expect(yield* fail("b.jsonl.gz")).toMatchObject({ _tag: "TransferFailed", attempts: 1 })
          expect(yield* requests).toBe(5)
        }),
      { budget: 15 }
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

interface World {
  readonly id: Batch.BatchId
  readonly sandbox: Sandbox.Service
  readonly fs: FileSystem.FileSystem
  readonly folder: string
  /** A fresh link to the job's merged file. */
  readonly sign: Effect.Effect<Redacted.Redacted<string>>
  /** Requests for the job's status. */
  readonly asked: Effect.Effect<number>
  readonly events: ReadonlyArray<Event.Event>
  readonly tell: Event.Emit
}

const withJob = <A, E>(
  spec: JobSpec.JobSpec,
  use: (
    world: World
  ) => Effect.Effect<
    A,
    E,
    | BatchClient.BatchClient
    | BatchConfig.BatchConfig
    | BatchHttp.BatchHttp
    | Layer.Layer.Success<typeof NodeContext.layer>
  >,
  retry: BatchConfig.Options["retry"] = {}
) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    const id = yield* Schema.decode(Batch.BatchId)(yield* sandbox.createJob({ recordBytes: 2000, ...spec }))
    const core = yield* Layer.build(
      BatchClient.layerOver(
        BatchConfig.layer({
          baseUrl: sandbox.baseUrl,
          apiKey: Redacted.make(sandbox.apiKey),
          poll: { initialDelay: "20ms", minDelay: "10ms", maxDelay: "60ms" },
          retry: {
            baseDelay: "2ms",
            maxDelay: "8ms",
            throttledBaseDelay: "2ms",
            throttledMaxDelay: "8ms",
            ...retry
          },
          transfer: { settle: "50ms", cellBytes: 16_384, blockBytes: 4096, syncBytes: 16_384 }
        })
      ).pipe(Layer.provide(NodeHttpClient.layer))
    )
    const events: Array<Event.Event> = []
    const sign = BatchClient.status(id).pipe(
      Effect.map(({ downloadUrl }) => Option.getOrThrow(downloadUrl)),
      Effect.orDie,
      Effect.provide(core)
    )
    const asked = Effect.map(sandbox.requests, (all) => all.filter(({ server }) => server === "api").length)
    const tell: Event.Emit = (event) => Effect.sync(() => void events.push(event))
    return yield* Effect.provide(use({ id, sandbox, fs, folder, sign, asked, events, tell }), core)
  }).pipe(Effect.provide(NodeContext.layer))
