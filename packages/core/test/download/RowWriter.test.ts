import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import { gzipSync } from "node:zlib"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Csv from "../../src/records/Csv.js"
import * as Receipt from "../../src/proof/Receipt.js"
import type * as Retrieval from "../../src/download/Retrieval.js"
import * as Verification from "../../src/download/Verification.js"
import { NodeContext } from "@effect/platform-node"
import * as Bench from "../Bench.js"

const columns = ["internal_id", "data.nothing", "data.basic_info.name"]

const ways: ReadonlyArray<readonly [string, Partial<Retrieval.DownloadOptions>]> = [
  ["all columns", { format: "csv" }],
  ["named columns", { format: "csv", columns }]
]

layer(Bench.upstream, { excludeTestServices: true })("A table", (it) => {
  for (const spec of [{ members: 1 }, { members: 3 }, { parts: 4, downloadUrl: false }]) {
    it.scoped(`has the rows of the result in their order: ${JSON.stringify(spec)}`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 120, ...spec })
        const lines = yield* textOf(bench, "rows.jsonl", { format: "jsonl" })
        const all = Csv.columnsOf({ maxLineBytes: 1_000_000 }).push(new TextEncoder().encode(lines))
        const found = yield* all
        expect(found).toContain("data.headcount.total")
        expect(yield* textOf(bench, "all.csv", { format: "csv" })).toBe(yield* tableOf(lines, found))
        expect(yield* textOf(bench, "named.csv", { format: "csv", columns })).toBe(
          yield* tableOf(lines, columns)
        )
        expect(yield* bench.fs.readDirectory(bench.folder)).toHaveLength(3)
      })
    )
  }

  for (const [name, options] of ways) {
    it.scoped(`is what its receipt says, and is verified again: ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 50 })
        const output = `${bench.folder}/rows.csv`
        const receipt = yield* bench.download(output, { ...options, receipt: true })
        const bytes = yield* bench.fs.readFile(output)
        expect(receipt).toMatchObject({
          format: "csv",
          records: 50,
          complete: true,
          bytes: bytes.length,
          sha256: createHash("sha256").update(bytes).digest("hex")
        })
        expect(yield* verify(output)).toMatchObject([{ records: 50, receipt }])
        yield* bench.fs.remove(Receipt.pathOf(output))
        expect(yield* verify(output)).toMatchObject([{ records: 50, receipt: undefined }])
      })
    )

    it.scoped(`goes on where an interrupted run ended: ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 300, members: 3 })
        const output = `${bench.folder}/rows.csv`
        const events: Array<Retrieval.Event> = []
        yield* bench.sandbox.script({
          on: { server: "storage" },
          times: -1,
          do: { trickle: { bytesPerSecond: 200_000 } }
        })
        const fiber = yield* Effect.fork(bench.download(output, { ...options, events }))
        while (!events.some((event) => event._tag === "Progress" && event.bytes > 40_000)) {
          yield* Effect.sleep("5 millis")
        }
        yield* Fiber.interrupt(fiber)
        expect(yield* bench.fs.exists(output)).toBe(false)
        yield* bench.sandbox.clearFaults
        const receipt = yield* bench.download(output, options)
        expect(receipt.resumedBytes).toBeGreaterThan(20_000)
        expect(receipt.records).toBe(300)
        const clean = yield* bench.download(`${bench.folder}/clean.csv`, options)
        expect(receipt.sha256).toBe(clean.sha256)
        expect((yield* bench.fs.readDirectory(bench.folder)).toSorted()).toEqual(["clean.csv", "rows.csv"])
      })
    )

    it.scoped(`is not taken for wrong when its bytes were damaged on the way: ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 50 })
        const clean = yield* bench.download(`${bench.folder}/clean.csv`, options)
        for (const at of [40, 900, 3000, 6000]) {
          yield* bench.sandbox.script({ on: { server: "storage" }, times: 1, do: { flipByte: { at } } })
          const receipt = yield* bench.download(`${bench.folder}/${at}.csv`, options)
          expect(receipt.sha256).toBe(clean.sha256)
        }
      })
    )

    it.scoped(`is not published with a line that is no record; its bytes are kept: ${name}`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 4 })
        const output = `${bench.folder}/rows.csv`
        const text = '{"internal_id":1}\n{"internal_id":2}\n{"internal_id":NaN}\n{"internal_id":4}\n'
        yield* serveInstead(bench, gzipSync(text))
        expect(yield* Effect.flip(bench.download(output, options))).toMatchObject({
          _tag: "RecordInvalid",
          line: 3,
          offset: 36,
          excerpt: '{"internal_id":NaN}'
        })
        expect(yield* bench.fs.exists(output)).toBe(false)
        const before = (yield* bench.requests).length
        const receipt = yield* bench.download(output, { format: "jsonl" })
        expect(receipt).toMatchObject({ records: 4, resumedBytes: receipt.parts[0]?.bytes })
        expect((yield* bench.requests).length).toBe(before)
        expect(yield* bench.fs.readFileString(output)).toBe(text)
        expect(yield* bench.fs.readDirectory(bench.folder)).toEqual(["rows.csv"])
      })
    )
  }

  it.scoped("has the last row, though it ends without a line feed", () =>
    Effect.gen(function* () {
      const bench = yield* Bench.make({ records: 2 })
      yield* serveInstead(bench, gzipSync('{"internal_id":1}\n{"internal_id":2}'))
      for (const [name, options] of ways) {
        const table = yield* textOf(bench, `${name}.csv`, options)
        expect(table.split("\r\n").map((row) => row.replace(/,.*/u, ""))).toEqual([
          "internal_id",
          "1",
          "2",
          ""
        ])
      }
    })
  )

  it.scoped("of an empty result is empty, or its header", () =>
    Effect.gen(function* () {
      const bench = yield* Bench.make({ records: 0 })
      expect(yield* textOf(bench, "all.csv", { format: "csv" })).toBe("")
      expect(yield* textOf(bench, "named.csv", { format: "csv", columns: ["id", "a,b"] })).toBe(
        'id,"a,b"\r\n'
      )
      for (const name of ["all.csv", "named.csv"]) {
        expect(yield* verify(`${bench.folder}/${name}`)).toMatchObject([{ records: 0 }])
      }
      expect(yield* bench.requests).toEqual([])
    })
  )

  it.scoped("that was changed since is found out", () =>
    Effect.gen(function* () {
      const bench = yield* Bench.make({ records: 5 })
      const output = `${bench.folder}/rows.csv`
      const receipt = yield* bench.download(output, {
        format: "csv",
        columns: ["internal_id"],
        receipt: true
      })
      const path = Receipt.pathOf(output)
      const fewer = new Receipt.Receipt({ ...receipt, records: 4 })
      yield* bench.fs.writeFileString(path, JSON.stringify(yield* Schema.encode(Receipt.Receipt)(fewer)))
      expect(yield* Effect.flip(verify(output))).toMatchObject({
        reason: "RowCount",
        expected: "4 rows",
        actual: "5 rows"
      })
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const verify = (file: string) =>
  Effect.provide(Verification.verify(file), [BatchConfig.layer(), NodeContext.layer])

const textOf = (bench: Bench.Bench, name: string, options: Partial<Retrieval.DownloadOptions>) =>
  Effect.zipRight(
    bench.download(`${bench.folder}/${name}`, options),
    bench.fs.readFileString(`${bench.folder}/${name}`)
  )

const tableOf = (lines: string, columns: ReadonlyArray<string>) =>
  Effect.map(
    Csv.rowsOf(columns, { maxLineBytes: 1_000_000 }).push(new TextEncoder().encode(lines)),
    (bytes) => new TextDecoder().decode(bytes)
  )

/** The job's file is another one, from a file host of our own. */
const serveInstead = ({ sandbox }: Bench.Bench, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.async<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((_, answer) => {
          const headers = { etag: '"ours"', "content-range": `bytes 0-${bytes.length - 1}/${bytes.length}` }
          answer.writeHead(206, headers).end(bytes)
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    yield* sandbox.script({
      on: { server: "storage" },
      times: -1,
      do: { redirect: { to: `http://127.0.0.1:${port}/rows.jsonl.gz` } }
    })
  })
