import { FileSystem, Path } from "@effect/platform"
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { type Fault, type JobSpec, Sandbox } from "@org/batch-sandbox"
import { Effect, Either, Fiber, Layer, Option, Random, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import { gunzipSync } from "node:zlib"
import * as Batch from "../../src/model/Batch.js"
import * as BatchClient from "../../src/status/BatchClient.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as LocalMachine from "../../src/disk/LocalMachine.js"
import * as Retrieval from "../../src/download/Retrieval.js"
import * as Verification from "../../src/download/Verification.js"

describe("Retrieval", () => {
  it.scopedLive("waits, downloads, verifies and publishes the merged file as delivered", () =>
    withJob({ records: 300, pendingMs: 100, processingMs: 200 }, ({ events, fs, id, output, sandbox }) =>
      Effect.gen(function* () {
        const receipt = yield* Retrieval.get(id, {
          deadline: "20 seconds",
          output,
          receipt: true,
          onEvent: events.push
        })
        const bytes = yield* fs.readFile(output)
        expect(receipt).toMatchObject({
          records: 300,
          complete: true,
          source: "merged",
          bytes: bytes.length,
          retries: 0
        })
        expect(receipt.sha256).toBe(sha256(bytes))
        expect(rows(bytes)).toHaveLength(300)
        expect(yield* Verification.verify(output)).toMatchObject([{ records: 300, receipt }])
        expect(yield* listing(output)).toEqual(["out.jsonl.gz", "out.jsonl.gz.receipt.json"])
        expect(yield* fs.readFileString(`${output}.receipt.json`)).not.toMatch(/X-Amz|Signature|http/u)
        const requests = (yield* sandbox.requests).filter(({ server }) => server === "storage")
        expect(requests[0]?.headers["range"]).toBe("bytes=0-65535")
        expect(
          requests.every(({ headers, method }) => method === "GET" && !("authorization" in headers))
        ).toBe(true)
        expect(requests.reduce((sum, { bytesSent }) => sum + bytesSent, 0)).toBe(bytes.length)
        expect(progress(events.all).at(-1)).toMatchObject({
          bytes: bytes.length,
          totalBytes: bytes.length,
          records: 300
        })
      })
    )
  )

  it.scopedLive("joins the parts in order as members of one gzip file when there is no merged file", () =>
    withJob({ records: 250, parts: 5, downloadUrl: false }, ({ fs, id, output }) =>
      Effect.gen(function* () {
        const receipt = yield* Retrieval.download(id, { output })
        const bytes = yield* fs.readFile(output)
        expect(receipt).toMatchObject({
          records: 250,
          source: "parts",
          bytes: bytes.length,
          sha256: sha256(bytes)
        })
        expect(receipt.parts.map(({ index, records }) => [index, records])).toEqual([
          [0, 50],
          [1, 50],
          [2, 50],
          [3, 50],
          [4, 50]
        ])
        expect(rows(bytes)).toHaveLength(250)
      })
    )
  )

  it.scopedLive("joined parts hold the same rows as the merged file, in the same order", () =>
    withJob({ records: 120, parts: 7 }, ({ fs, id, output }) =>
      Effect.gen(function* () {
        yield* Retrieval.download(id, { output })
        yield* Retrieval.download(id, { output: `${output}.d`, parts: true })
        const names = yield* fs.readDirectory(`${output}.d`)
        expect(names).toHaveLength(7)
        const parts = yield* Effect.forEach(names.toSorted(), (name) => fs.readFile(`${output}.d/${name}`))
        expect(parts.flatMap(rows)).toEqual(rows(yield* fs.readFile(output)))
      })
    )
  )

  for (const spec of [{ members: 1 }, { members: 3 }, { parts: 4, downloadUrl: false }]) {
    it.scopedLive(`decompresses to jsonl: ${JSON.stringify(spec)}`, () =>
      withJob({ records: 200, ...spec }, ({ fs, id, output }) =>
        Effect.gen(function* () {
          const receipt = yield* Retrieval.download(id, { output, format: "jsonl" })
          const bytes = yield* fs.readFile(output)
          expect(receipt).toMatchObject({
            format: "jsonl",
            bytes: bytes.length,
            sha256: sha256(bytes),
            records: 200
          })
          expect(
            Buffer.from(bytes)
              .toString()
              .trimEnd()
              .split("\n")
              .map((line) => JSON.parse(line))
          ).toHaveLength(200)
          expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
        })
      )
    )
  }

  describe("a job that is completed before its results are to be seen", () => {
    /** The first status answers are older than the job: these fields of them are others. */
    const late = (
      { id, sandbox }: Pick<Bench, "id" | "sandbox">,
      fields: Readonly<Record<string, unknown>>,
      times: number
    ) =>
      Effect.gen(function* () {
        const answer = yield* Effect.promise(() =>
          fetch(`${sandbox.baseUrl}/batch/${id}`, {
            headers: { authorization: `Bearer ${sandbox.apiKey}` }
          }).then((response) => response.json())
        )
        const body = JSON.stringify({ ...Object(answer), ...fields })
        yield* sandbox.script({ on: { server: "api" }, times, do: { respond: { status: 200, body } } })
      })
    const asked = (sandbox: Sandbox.Service) =>
      Effect.map(sandbox.requests, (all) => all.filter(({ path }) => path.startsWith("/batch/")).length - 1)
    const without = { download_url: null, download_urls: [] }

    it.scopedLive("is asked again until it has links", () =>
      withJob(
        { records: 30 },
        ({ events, id, output, sandbox }) =>
          Effect.gen(function* () {
            yield* late({ id, sandbox }, without, 4)
            const receipt = yield* Retrieval.download(id, { output, onEvent: events.push })
            expect(receipt).toMatchObject({ records: 30, complete: true })
            expect(yield* asked(sandbox)).toBe(5)
            const pauses = events.all.filter(({ _tag }) => _tag === "Settling")
            expect(pauses).toHaveLength(4)
            expect(pauses[0]).toMatchObject({
              cause: "NoLink",
              detail: "it announces 30 rows, but no link to them yet"
            })
          }),
        "20s"
      )
    )

    it.scopedLive("has no link in the end", () =>
      withJob(
        { records: 30, downloadUrl: false, downloadUrls: false },
        ({ id, output, sandbox }) =>
          Effect.gen(function* () {
            expect(yield* Effect.flip(Retrieval.download(id, { output }))).toMatchObject({
              _tag: "ResultsUnavailable",
              reason: "NoLink"
            })
            expect(yield* asked(sandbox)).toBeGreaterThan(2)
          }),
        "2s"
      )
    )

    for (const [before, spec] of [
      [20, {}],
      [20, { downloadUrls: false }],
      [50, { downloadUrls: false }]
    ] as const) {
      it.scopedLive(
        `says ${before} rows first, and as many as there are later: ${JSON.stringify(spec)}`,
        () =>
          withJob(
            { records: 30, ...spec },
            ({ events, id, output, sandbox }) =>
              Effect.gen(function* () {
                yield* late({ id, sandbox }, { result_count: before }, 2)
                const receipt = yield* Retrieval.download(id, { output, receipt: true, onEvent: events.push })
                expect(receipt).toMatchObject({ records: 30, resultCount: 30, complete: true, retries: 0 })
                expect(yield* Verification.verify(output)).toMatchObject([{ records: 30 }])
                expect(yield* asked(sandbox)).toBe(3)
                expect(events.all.filter(({ _tag }) => _tag === "Settling")).toHaveLength(2)
                expect(yield* listing(output)).toEqual(["out.jsonl.gz", "out.jsonl.gz.receipt.json"])
              }),
            "300ms"
          )
      )
    }

    it.scopedLive("whose object is replaced by a whole one is fetched again", () =>
      withJob(
        { records: 30, downloadUrls: false },
        ({ events, fs, id, output, sandbox }) =>
          Effect.gen(function* () {
            yield* withoutRows(sandbox, `${id}/merged`, 20, 1)
            const receipt = yield* Retrieval.download(id, { output, onEvent: events.push })
            expect(receipt).toMatchObject({ records: 30, complete: true })
            expect(events.all.map(({ _tag }) => _tag)).toContain("Restarted")
            expect(rows(yield* fs.readFile(output))).toHaveLength(30)
          }),
        "300ms"
      )
    )

    it.scopedLive("whose count stays wrong is asked twice more, and not fetched again", () =>
      withJob(
        { records: 30, resultCount: 31, downloadUrls: false },
        ({ events, id, output, sandbox }) =>
          Effect.gen(function* () {
            expect(
              yield* Effect.flip(Retrieval.download(id, { output, onEvent: events.push }))
            ).toMatchObject({ _tag: "ResultsCorrupt", reason: "RowCount" })
            expect((yield* asked(sandbox)) + 1).toBe(3)
            const ranges = (yield* sandbox.requests)
              .filter(({ server }) => server === "storage")
              .map(({ headers }) => headers["range"])
            expect(ranges.filter((range) => range === "bytes=0-0")).toHaveLength(2)
            expect(ranges.filter((range) => range?.startsWith("bytes=0-") === true)).toHaveLength(3)
            expect(events.all.map(({ _tag }) => _tag)).not.toContain("Restarted")
          }),
        "300ms"
      )
    )

    it.scopedLive("whose count changes while links are renewed is compared with the last one", () =>
      withJob({ records: 30, downloadUrls: false }, ({ events, id, output, sandbox }) =>
        Effect.gen(function* () {
          yield* late({ id, sandbox }, { result_count: 20 }, 1)
          yield* sandbox.script({ on: { server: "storage" }, do: { expired: true } })
          const receipt = yield* Retrieval.download(id, { output, onEvent: events.push })
          expect(receipt).toMatchObject({ records: 30, resultCount: 30, complete: true, urlRefreshes: 1 })
          expect(events.all.map(({ _tag }) => _tag)).not.toContain("Restarted")
        })
      )
    )
  })

  describe("files that others write otherwise", () => {
    const on = (path: string, effects: Fault.Effects): Fault.Rule => ({
      on: { server: "storage", path },
      times: -1,
      do: effects
    })
    const clean = { source: "parts", records: 40, complete: true } as const
    const plain = { text: { plain: true } }

    for (const [name, rules, spec, expected] of [
      [
        "blank lines",
        [on("merged", { text: { blankLines: 2 } })],
        {},
        { records: 40, blankLines: Option.some(4) }
      ],
      [
        "blank lines that are counted",
        [on("merged", { text: { blankLines: 2 } })],
        { resultCount: 44, downloadUrls: false },
        { records: 40, resultCount: 44, blankLines: Option.some(4) }
      ],
      [
        "a byte order mark",
        [on("merged", { text: { bom: true } })],
        {},
        { records: 40, blankLines: Option.none() }
      ],
      [
        "zeros behind the end",
        [on("merged", { extraBytes: { n: 700, kind: "zeros" } })],
        {},
        { records: 40 }
      ],
      ["no compression", [on("merged", plain)], {}, { records: 40 }],
      [
        "a last line without a line feed",
        [on("merged", { text: { unterminated: true } })],
        {},
        { records: 40 }
      ]
    ] as const) {
      for (const format of ["jsonl.gz", "jsonl", "csv"] as const) {
        it.scopedLive(`${name}: ${format}`, () =>
          withJob({ records: 40, ...spec }, ({ fs, id, output, sandbox }) =>
            Effect.gen(function* () {
              yield* sandbox.script(...rules)
              const receipt = yield* Retrieval.download(id, { output, format, receipt: true })
              expect(receipt).toMatchObject({ ...expected, source: "merged", complete: true })
              expect(Option.isSome(receipt.compressedHere)).toBe(
                name === "no compression" && format === "jsonl.gz"
              )
              const bytes = yield* fs.readFile(output)
              expect(receipt).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes) })
              const text = Buffer.from(format === "jsonl.gz" ? gunzipSync(bytes) : bytes).toString()
              if (format !== "csv") expect(recordsOf(text)).toHaveLength(40)
              if (format !== "jsonl.gz") expect(text.startsWith("\ufeff")).toBe(false)
              expect(yield* Verification.verify(output)).toMatchObject([{ records: 40 }])
              expect((yield* listing(output)).filter((file) => !file.endsWith(".json"))).toEqual([
                "out.jsonl.gz"
              ])
            })
          )
        )
      }
    }

    for (const [name, ...rules] of [
      ["parts without a last line feed", on("part", { text: { unterminated: true } })],
      ["a part without a byte", on("part-001", { emptied: true })],
      ["parts with zeros behind their end", on("part", { extraBytes: { n: 700, kind: "zeros" } })],
      ["a part without compression", on("part-001", plain)],
      [
        "parts without compression or a last line feed",
        on("part", { text: { plain: true, unterminated: true } })
      ],
      ["parts with byte order marks and blank lines", on("part", { text: { bom: true, blankLines: 1 } })]
    ] as const) {
      for (const format of ["jsonl.gz", "jsonl", "csv"] as const) {
        it.scopedLive(`${name}: joined as ${format}`, () =>
          withJob({ records: 40, parts: 4, downloadUrl: false }, ({ fs, id, output, sandbox }) =>
            Effect.gen(function* () {
              const lost = name.includes("without a byte") ? 10 : 0
              yield* sandbox.script(...rules)
              const receipt = yield* Retrieval.download(id, {
                output,
                format,
                receipt: true,
                allowIncomplete: lost > 0
              })
              expect(receipt).toMatchObject({ ...clean, records: 40 - lost, complete: lost === 0 })
              const bytes = yield* fs.readFile(output)
              expect(receipt).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes) })
              const text = Buffer.from(format === "jsonl.gz" ? gunzipSync(bytes) : bytes).toString()
              if (format !== "csv") expect(recordsOf(text)).toHaveLength(40 - lost)
              expect(yield* Verification.verify(output)).toMatchObject([{ records: 40 - lost }])
              expect((yield* listing(output)).filter((file) => !file.endsWith(".json"))).toEqual([
                "out.jsonl.gz"
              ])
            })
          )
        )
      }
      it.scopedLive(`${name}: kept separate`, () =>
        withJob({ records: 40, parts: 4, downloadUrl: false }, ({ fs, id, output, sandbox }) =>
          Effect.gen(function* () {
            const lost = name.includes("without a byte") ? 10 : 0
            yield* sandbox.script(...rules)
            const receipt = yield* Retrieval.download(id, {
              output,
              parts: true,
              receipt: true,
              allowIncomplete: lost > 0
            })
            expect(receipt).toMatchObject({ ...clean, records: 40 - lost, complete: lost === 0 })
            const found = (yield* fs.readDirectory(output)).toSorted()
            const names = found.filter((file) => file.includes(".part-"))
            expect(found.filter((file) => !names.includes(file))).toEqual([`${id}.receipt.json`])
            const files = yield* Effect.forEach(names, (file) => fs.readFile(`${output}/${file}`))
            expect(files).toHaveLength(4)
            expect(receipt.sha256).toBe(sha256(Buffer.concat(files)))
            expect(receipt.parts.map(({ bytes }) => bytes)).toEqual(files.map(({ length }) => length))
            const texts = files.map((file) => (file.length === 0 ? "" : gunzipSync(file).toString()))
            expect(texts.flatMap(recordsOf)).toHaveLength(40 - lost)
            expect(yield* Verification.verify(output)).toMatchObject([{ records: 40 - lost }])
          })
        )
      )
    }
  })

  it.scopedLive("an empty result is an empty gzip member, without a request for the file", () =>
    withJob({ records: 0 }, ({ fs, id, output, sandbox }) =>
      Effect.gen(function* () {
        const receipt = yield* Retrieval.download(id, { output, receipt: true })
        expect(receipt).toMatchObject({ records: 0, source: "none", complete: true, bytes: 20 })
        expect(gunzipSync(yield* fs.readFile(output))).toHaveLength(0)
        expect((yield* sandbox.requests).filter(({ server }) => server === "storage")).toEqual([])
        expect(yield* Verification.verify(output)).toMatchObject([{ records: 0 }])
      })
    )
  )

  it.scopedLive("an empty result is an empty file when it is decompressed", () =>
    withJob({ records: 0 }, ({ fs, id, output }) =>
      Effect.gen(function* () {
        expect(yield* Retrieval.download(id, { output, format: "jsonl" })).toMatchObject({
          bytes: 0,
          source: "none"
        })
        expect(yield* fs.readFile(output)).toHaveLength(0)
      })
    )
  )

  it.scopedLive("leaves an existing destination untouched, before any request, unless forced", () =>
    withJob({ records: 10 }, ({ fs, id, output, sandbox }) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(output, "precious")
        const error = yield* Effect.flip(Retrieval.download(id, { output }))
        expect(error).toMatchObject({ _tag: "StorageError", reason: "Exists", path: output })
        expect(yield* fs.readFileString(output)).toBe("precious")
        expect((yield* sandbox.requests).filter(({ path }) => path.startsWith("/batch"))).toEqual([])
        yield* Retrieval.download(id, { output, force: true })
        expect(rows(yield* fs.readFile(output))).toHaveLength(10)
      })
    )
  )

  for (const [name, spec, tag] of [
    ["a job that is still running", { stuck: true }, "BatchNotCompleted"],
    ["a failed job", { outcome: "failed", errorMessage: "out of credits" }, "BatchFailed"],
    ["a job without links", { downloadUrl: false, downloadUrls: false }, "ResultsUnavailable"]
  ] as const) {
    it.scopedLive(`download of ${name} is ${tag}`, () =>
      withJob({ records: 10, ...spec }, ({ id, output }) =>
        Effect.gen(function* () {
          expect((yield* Effect.flip(Retrieval.download(id, { output })))._tag).toBe(tag)
        })
      )
    )
  }

  it.scopedLive(
    "tells both figures when rows and result_count disagree, and keeps the data under another name",
    () =>
      withJob({ records: 40, resultCount: 41 }, ({ events, fs, id, output }) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip(Retrieval.download(id, { output }))
          expect(error).toMatchObject({
            _tag: "ResultsCorrupt",
            reason: "RowCount",
            kept: Option.some(`${output}.corrupt`)
          })
          expect(error.message).toMatch(/41 rows.*40 rows/u)
          expect(yield* listing(output)).toEqual(["out.jsonl.gz.corrupt"])
          const receipt = yield* Retrieval.download(id, {
            output,
            allowIncomplete: true,
            onEvent: events.push
          })
          expect(receipt).toMatchObject({ records: 40, resultCount: 41, complete: false })
          expect(events.all).toContainEqual({ _tag: "Incomplete", records: 40, resultCount: 41 })
          expect(rows(yield* fs.readFile(output))).toHaveLength(40)
          expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
        })
      )
  )

  describe("when the merged file has not all rows", () => {
    for (const format of ["jsonl.gz", "jsonl"] as const) {
      it.scopedLive(`the part files are tried before the result is called incomplete: ${format}`, () =>
        withJob({ records: 60, parts: 3 }, ({ events, fs, id, output, sandbox }) =>
          Effect.gen(function* () {
            yield* withoutRows(sandbox, `${id}/merged`, 20)
            const receipt = yield* Retrieval.download(id, { output, format, onEvent: events.push })
            expect(receipt).toMatchObject({ records: 60, complete: true, source: "parts" })
            const bytes = yield* fs.readFile(output)
            expect(receipt).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes) })
            expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
            expect(events.all).toContainEqual({
              _tag: "Restarted",
              detail: "20 rows in the merged file, of 60 announced"
            })
          })
        )
      )
    }

    it.scopedLive("and if they have not all rows either, both figures are told", () =>
      withJob({ records: 60, resultCount: 61, parts: 3 }, ({ id, output, sandbox }) =>
        Effect.gen(function* () {
          yield* withoutRows(sandbox, `${id}/merged`, 20)
          const error = yield* Effect.flip(Retrieval.download(id, { output }))
          expect(error).toMatchObject({
            _tag: "ResultsCorrupt",
            reason: "RowCount",
            actual: "60 rows in the 3 part files and 20 rows in the merged file"
          })
          expect(yield* listing(output)).toEqual(["out.jsonl.gz.parts.corrupt"])
          const receipt = yield* Retrieval.download(id, { output, allowIncomplete: true })
          expect(receipt).toMatchObject({ records: 60, complete: false, source: "parts" })
          expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
        })
      )
    )
  })

  describe("when the part files, kept separate, have not all rows", () => {
    it.scopedLive("the merged file is tried, and delivered in their place", () =>
      withJob({ records: 60, parts: 3 }, ({ events, fs, id, output, sandbox }) =>
        Effect.gen(function* () {
          yield* withoutRows(sandbox, `${id}/part-001`, 5)
          const receipt = yield* Retrieval.download(id, {
            output: `${output}.d`,
            parts: true,
            receipt: true,
            onEvent: events.push
          })
          expect(receipt).toMatchObject({ records: 60, complete: true, source: "merged" })
          expect((yield* fs.readDirectory(`${output}.d`)).toSorted()).toEqual([
            `${id}.jsonl.gz`,
            `${id}.receipt.json`
          ])
          const bytes = yield* fs.readFile(`${output}.d/${id}.jsonl.gz`)
          expect(receipt).toMatchObject({ bytes: bytes.length, sha256: sha256(bytes) })
          expect(yield* Verification.verify(`${output}.d`)).toMatchObject([{ records: 60 }])
          expect(events.all).toContainEqual({
            _tag: "Restarted",
            detail: "45 rows in the 3 part files, of 60 announced"
          })
        })
      )
    )

    it.scopedLive("and if it has not all rows either, both figures are told", () =>
      withJob({ records: 60, resultCount: 61, parts: 3 }, ({ fs, id, output, sandbox }) =>
        Effect.gen(function* () {
          yield* withoutRows(sandbox, `${id}/part-001`, 5)
          expect(
            yield* Effect.flip(Retrieval.download(id, { output: `${output}.d`, parts: true }))
          ).toMatchObject({
            _tag: "ResultsCorrupt",
            reason: "RowCount",
            actual: "60 rows in the merged file and 45 rows in the 3 part files"
          })
          expect(yield* fs.readDirectory(`${output}.d`)).toEqual([`${id}.jsonl.gz.corrupt`])
        })
      )
    )
  })

  it.scopedLive("finds before the transfer that there is no room for it, and goes on once there is", () =>
    withJob({ records: 400 }, ({ events, id, output, sandbox }) =>
      Effect.gen(function* () {
        const room = (bytes: number) =>
          Effect.provideService(LocalMachine.LocalMachine, {
            ...LocalMachine.unknown,
            freeBytes: () => Effect.succeedSome(bytes)
          })
        const download = Retrieval.download(id, { output, onEvent: events.push })
        expect(yield* Effect.flip(download.pipe(room(100_000)))).toMatchObject({
          _tag: "StorageError",
          reason: "NoSpace",
          detail: expect.stringMatching(/^\d{3},\d{3} more bytes are needed, and there is room for 100,000$/u)
        })
        expect(progress(events.all).every(({ bytes }) => bytes === 0)).toBe(true)
        expect((yield* sandbox.requests).filter(({ server }) => server === "storage")).toHaveLength(1)
        expect(yield* download.pipe(room(10_000_000))).toMatchObject({ records: 400 })
      })
    )
  )

  it.scopedLive("no two connections fetch the same cell while the room on the disk is being looked up", () =>
    withJob({ records: 800, parts: 3 }, ({ id, output }) =>
      Effect.gen(function* () {
        const receipt = yield* Retrieval.download(id, { output, parts: true }).pipe(
          Effect.provideService(LocalMachine.LocalMachine, {
            ...LocalMachine.unknown,
            freeBytes: () =>
              Effect.flatMap(Random.nextIntBetween(1, 40), (millis) =>
                Effect.delay(Effect.succeedSome(1e12), millis)
              )
          })
        )
        expect(receipt).toMatchObject({ records: 800, complete: true })
      })
    )
  )

  describe("an interrupted download", () => {
    const slow = {
      on: { server: "storage" },
      times: -1,
      do: { trickle: { bytesPerSecond: 2_000_000 } }
    } as const

    /** Brings some of the bytes, and is then interrupted. */
    const interrupted = (
      { events, id, output, sandbox }: Bench,
      options: Partial<Retrieval.DownloadOptions> = {}
    ) =>
      Effect.gen(function* () {
        yield* sandbox.script(slow)
        const fiber = yield* Effect.fork(Retrieval.download(id, { output, onEvent: events.push, ...options }))
        while (!progress(events.all).some(({ bytes }) => bytes > 150_000)) yield* Effect.sleep("5 millis")
        yield* Fiber.interrupt(fiber)
        yield* sandbox.clearFaults
      })

    const served = (sandbox: Sandbox.Service) =>
      Effect.map(sandbox.requests, (requests) =>
        requests
          .filter(({ server }) => server === "storage")
          .reduce((sum, { bytesSent }) => sum + bytesSent, 0)
      )

    for (const [name, spec, options] of [
      ["the merged file", { members: 2 }, {}],
      ["joined parts", { parts: 4, downloadUrl: false }, {}],
      ["separate parts", { parts: 4 }, { parts: true }],
      ["decompressed rows", { members: 2 }, { format: "jsonl" }]
    ] as const) {
      it.scopedLive(`goes on where it ended: ${name}`, () =>
        withJob({ records: 800, ...spec }, (bench) =>
          Effect.gen(function* () {
            const { id, output, sandbox } = bench
            yield* interrupted(bench, options)
            if (!("parts" in options)) expect(yield* listing(output)).not.toContain("out.jsonl.gz")
            const before = yield* served(sandbox)
            const receipt = yield* Retrieval.download(id, { output, ...options })
            expect(receipt).toMatchObject({ records: 800, complete: true })
            expect(receipt.resumedBytes).toBeGreaterThan(100_000)
            const compressed = receipt.parts.reduce((sum, { bytes }) => sum + bytes, 0)
            expect((yield* served(sandbox)) - before).toBe(compressed - receipt.resumedBytes)
            expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
            expect(yield* Verification.verify(output)).toMatchObject([
              { records: 800, sha256: receipt.sha256 }
            ])
          })
        )
      )
    }

    for (const [name, damage] of [
      ["a truncated journal", (text: string) => text.slice(0, 100)],
      ["an empty journal", () => ""],
      ["an older version", (text: string) => text.replace('"version":3', '"version":2')],
      ["another batch", (text: string) => text.replace(/"batch_id":"......../u, '"batch_id":"00000000')],
      ["another result_count", (text: string) => text.replace(/"result_count":\d+/u, '"result_count":1')],
      [
        "cells that hold more than fits",
        (text: string) => text.replace(/"filled":\[/u, '"filled":[99999999,')
      ],
      ["cells of no size", (text: string) => text.replace(/"cell_bytes":\d+/u, '"cell_bytes":0')]
    ] as const) {
      it.scopedLive(`begins anew, and ends whole, with ${name}`, () =>
        withJob({ records: 400 }, (bench) =>
          Effect.gen(function* () {
            const { fs, id, output } = bench
            yield* interrupted(bench)
            const journal = `${output}.journal`
            yield* fs.writeFileString(journal, damage(yield* fs.readFileString(journal)))
            const receipt = yield* Retrieval.download(id, { output })
            expect(receipt).toMatchObject({ records: 400, resumedBytes: 0 })
            expect(rows(yield* fs.readFile(output))).toHaveLength(400)
          })
        )
      )
    }

    for (const [name, damage] of [
      ["that lost its tail", (bytes: Uint8Array) => bytes.subarray(0, 50_000)],
      ["that is empty", () => new Uint8Array(0)],
      [
        "with a flipped byte",
        (bytes: Uint8Array) => bytes.map((byte, at) => (at === 60_000 ? byte ^ 1 : byte))
      ]
    ] as const) {
      it.scopedLive(`believes only the sound cells of a file ${name}`, () =>
        withJob({ records: 400 }, (bench) =>
          Effect.gen(function* () {
            const { fs, id, output } = bench
            yield* interrupted(bench)
            const before = yield* fs.readFile(`${output}.partial`)
            yield* fs.writeFile(`${output}.partial`, damage(before))
            const receipt = yield* Retrieval.download(id, { output })
            expect(receipt.records).toBe(400)
            expect(receipt.resumedBytes).toBeLessThan(before.length)
            expect(rows(yield* fs.readFile(output))).toHaveLength(400)
          })
        )
      )
    }

    it.scopedLive("begins anew when the object was replaced in between", () =>
      withJob({ records: 400 }, (bench) =>
        Effect.gen(function* () {
          const { events, fs, id, output, sandbox } = bench
          yield* interrupted(bench)
          yield* sandbox.job(id).replaceObject()
          const receipt = yield* Retrieval.download(id, { output, onEvent: events.push })
          expect(receipt).toMatchObject({ records: 400, resumedBytes: 0 })
          expect(events.all.map(({ _tag }) => _tag)).toContain("Restarted")
          expect(rows(yield* fs.readFile(output))).toHaveLength(400)
        })
      )
    )

    it.scopedLive("goes on where it ended although the host's ETag has no quotes", () =>
      withJob({ records: 400 }, (bench) =>
        Effect.gen(function* () {
          const { events, fs, id, output, sandbox } = bench
          yield* sandbox.script({
            on: { server: "storage" },
            times: -1,
            do: { etag: "unquoted", trickle: { bytesPerSecond: 2_000_000 } }
          })
          const fiber = yield* Effect.fork(Retrieval.download(id, { output, onEvent: events.push }))
          while (!progress(events.all).some(({ bytes }) => bytes > 150_000)) yield* Effect.sleep("5 millis")
          yield* Fiber.interrupt(fiber)
          yield* sandbox.clearFaults
          expect(events.all.map(({ _tag }) => _tag)).not.toContain("NotResumable")
          const receipt = yield* Retrieval.download(id, { output })
          expect(receipt.resumedBytes).toBeGreaterThan(0)
          expect(receipt.parts[0]?.etag).toMatch(/^"[^"]+"$/u)
          expect(rows(yield* fs.readFile(output))).toHaveLength(400)
        })
      )
    )

    for (const etag of ["weak", "missing"] as const) {
      it.scopedLive(`says that it could not go on when the host's ETag is ${etag}, and begins anew`, () =>
        withJob({ records: 400 }, (bench) =>
          Effect.gen(function* () {
            const { events, fs, id, output, sandbox } = bench
            yield* sandbox.script({
              on: { server: "storage" },
              times: -1,
              do: { etag, trickle: { bytesPerSecond: 2_000_000 } }
            })
            const fiber = yield* Effect.fork(Retrieval.download(id, { output, onEvent: events.push }))
            while (!progress(events.all).some(({ bytes }) => bytes > 150_000)) yield* Effect.sleep("5 millis")
            yield* Fiber.interrupt(fiber)
            expect(events.all.map(({ _tag }) => _tag)).toContain("NotResumable")
            expect(yield* Retrieval.download(id, { output })).toMatchObject({ records: 400, resumedBytes: 0 })
            expect(rows(yield* fs.readFile(output))).toHaveLength(400)
          })
        )
      )
    }
  })

  it.scopedLive("two runs on one destination: one ends whole, the other says so", () =>
    withJob({ records: 400 }, ({ fs, id, output, sandbox }) =>
      Effect.gen(function* () {
        yield* sandbox.script({
          on: { server: "storage" },
          times: -1,
          do: { trickle: { bytesPerSecond: 100_000 } }
        })
        const exits = yield* Effect.all(
          [1, 2].map(() => Effect.either(Retrieval.download(id, { output }))),
          { concurrency: 2 }
        )
        const failures = exits.filter(Either.isLeft)
        expect(failures.map(({ left }) => left)).toMatchObject([{ _tag: "StorageError", reason: "Exists" }])
        expect(rows(yield* fs.readFile(output))).toHaveLength(400)
        expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
      })
    )
  )

  it.scopedLive("takes over from a run that left its lock behind", () =>
    withJob({ records: 10 }, ({ fs, id, output }) =>
      Effect.gen(function* () {
        yield* fs.writeFileString(`${output}.lock`, "left behind")
        expect(yield* Retrieval.download(id, { output })).toMatchObject({ records: 10 })
        expect(yield* listing(output)).toEqual(["out.jsonl.gz"])
      })
    )
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** The objects of a path are the merged file of another job, with fewer rows. */
const withoutRows = (sandbox: Sandbox.Service, path: string, records: number, times = -1) =>
  Effect.gen(function* () {
    const poor = yield* sandbox.createJob({ records, pendingMs: 0, processingMs: 0 })
    const answer = yield* Effect.promise(() =>
      fetch(`${sandbox.baseUrl}/batch/${poor}`, {
        headers: { authorization: `Bearer ${sandbox.apiKey}` }
      }).then((response) => response.json())
    )
    yield* sandbox.script({
      on: { server: "storage", path },
      times,
      do: { redirect: { to: String(Object(answer).download_url) } }
    })
  })

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const rows = (bytes: Uint8Array): ReadonlyArray<unknown> =>
  gunzipSync(bytes)
    .toString()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

/** The records of a text whose lines may be blank or begin with a byte order mark. */
const recordsOf = (text: string): ReadonlyArray<unknown> =>
  text
    .split("\n")
    .map((line) => line.replace(/^\ufeff/u, "").trim())
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))

const progress = (events: ReadonlyArray<Retrieval.Event>) =>
  events.filter((event) => event._tag === "Progress")

const listing = (output: string) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    return (yield* fs.readDirectory(path.dirname(output))).toSorted()
  })

interface Bench {
  readonly sandbox: Sandbox.Service
  readonly id: Batch.BatchId
  readonly fs: FileSystem.FileSystem
  readonly output: string
  readonly events: {
    readonly all: ReadonlyArray<Retrieval.Event>
    readonly push: (event: Retrieval.Event) => Effect.Effect<void>
  }
}

const withJob = <A, E>(
  spec: JobSpec.JobSpec,
  use: (bench: Bench) => Effect.Effect<A, E, Retrieval.Needs>,
  settle = "0ms"
) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    const fs = yield* FileSystem.FileSystem
    const id = yield* Schema.decode(Batch.BatchId)(
      yield* sandbox.createJob({ pendingMs: 0, processingMs: 0, ...spec })
    )
    const all: Array<Retrieval.Event> = []
    const events = { all, push: (event: Retrieval.Event) => Effect.sync(() => void all.push(event)) }
    const output = `${yield* fs.makeTempDirectoryScoped()}/out.jsonl.gz`
    const config = BatchConfig.layer({
      baseUrl: sandbox.baseUrl,
      apiKey: Redacted.make(sandbox.apiKey),
      poll: { initialDelay: "50ms", minDelay: "20ms", maxDelay: "200ms" },
      retry: { baseDelay: "5ms", maxDelay: "20ms", throttledBaseDelay: "5ms", throttledMaxDelay: "20ms" },
      transfer: { settle, idleTimeout: "10s", blockBytes: 4096, cellBytes: 65_536, syncBytes: 65_536 }
    })
    const core = BatchClient.layerOver(config).pipe(Layer.provide(NodeHttpClient.layer))
    return yield* use({ sandbox, id, fs, output, events }).pipe(Effect.provide(core))
  }).pipe(Effect.provide(NodeContext.layer))
