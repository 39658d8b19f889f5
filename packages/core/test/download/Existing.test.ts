import { expect, layer } from "@effect/vitest"
import { NodeContext } from "@effect/platform-node"
import { Effect, Option } from "effect"
import * as Existing from "../../src/download/Existing.js"
import type { DownloadOptions } from "../../src/download/Retrieval.js"
import * as Verification from "../../src/download/Verification.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Receipt from "../../src/proof/Receipt.js"
import * as Bench from "../Bench.js"

layer(Bench.upstream, { excludeTestServices: true })("What is at a destination already", (it) => {
  it.scoped("counts as done where its receipt proves it, and nobody is asked", () =>
    Effect.gen(function* () {
      const bench = yield* Bench.make({ parts: 3 })
      const output = `${bench.folder}/out.csv`
      expect(yield* found(bench, { output, format: "csv" })).toBe("nothing")
      const columns = ["internal_id"]
      const receipt = yield* bench.download(output, { format: "csv", columns, receipt: true })
      const parts = { output: `${bench.folder}/parts/`, parts: true }
      const ofParts = yield* bench.download(parts.output, { ...parts, receipt: true })
      const asked = yield* bench.statusCalls
      expect(yield* Existing.find(bench.id, { output, format: "csv", columns })).toEqual(Option.some(receipt))
      yield* bench.fs.rename(parts.output, `${bench.folder}/moved`)
      const moved = yield* Existing.find(bench.id, { ...parts, output: `${bench.folder}/moved` })
      expect(moved).toEqual(Option.some(Receipt.movedTo(ofParts, `${bench.folder}/moved`)))
      expect(yield* found(bench, parts)).toBe("nothing")
      expect(yield* bench.statusCalls).toBe(asked)
    }).pipe(Effect.provide([BatchConfig.layer(), NodeContext.layer]))
  )

  it.scoped(
    "is told for what it is where it does not, and left to be replaced where that was asked for",
    () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ resultCount: 101 })
        const other = yield* Bench.make({})
        const output = `${bench.folder}/out`
        const place = { output, format: "csv", columns: ["internal_id"] } as const
        yield* bench.download(output, { ...place, allowIncomplete: true, receipt: true })
        expect(yield* found(bench, { ...place, allowIncomplete: true })).toBe("found")
        expect(yield* found(bench, place)).toBe("it is incomplete: 100 rows of 101")
        expect(yield* found(other, place)).toBe(`its receipt is of batch ${bench.id}`)
        expect(yield* found(bench, { output })).toBe("it is csv, not jsonl.gz")
        expect(yield* found(bench, { output, format: "csv" })).toMatch(/^it has other columns/u)
        yield* bench.fs.writeFileString(output, "internal_id\r\n")
        const changed = { ...place, allowIncomplete: true }
        expect(yield* found(bench, changed)).toMatch(
          /^it is not what its receipt says: expected [\d,]+ bytes, got/u
        )
        expect(yield* found(bench, { ...changed, force: true })).toBe("nothing")
        yield* bench.fs.remove(Receipt.pathOf(output))
        expect(yield* found(bench, changed)).toBe("no receipt beside it says what it is")
        yield* bench.fs.writeFileString(`${output}.journal`, "")
        expect(yield* found(bench, changed)).toBe("nothing")
      }).pipe(Effect.provide([BatchConfig.layer(), NodeContext.layer]))
  )

  it.scoped(
    "a receipt that is there stays true when its file is replaced, and is never another batch's",
    () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ records: 7 })
        const other = yield* Bench.make({ records: 9 })
        const output = `${bench.folder}/out.jsonl.gz`
        yield* bench.download(output, { receipt: true })
        yield* other.download(output, { force: true })
        expect(yield* Verification.verify(output)).toMatchObject([
          { records: 9, receipt: { batchId: other.id } }
        ])
        yield* bench.fs.remove(output)
        expect(yield* Effect.flip(bench.download(output))).toMatchObject({
          _tag: "StorageError",
          reason: "Exists",
          path: `${output}.receipt.json`,
          detail: `it is the receipt of batch ${other.id}, and was left untouched`
        })
        expect(yield* bench.fs.readDirectory(bench.folder)).toEqual(["out.jsonl.gz.receipt.json"])
      }).pipe(Effect.provide([BatchConfig.layer(), NodeContext.layer]))
  )

  it.scoped("in a folder: results by their receipts, others in themselves, part files without a gap", () =>
    Effect.gen(function* () {
      const bench = yield* Bench.make({ parts: 3, records: 30 })
      const { folder, fs, id } = bench
      yield* bench.download(`${folder}/all`, { parts: true, receipt: true })
      yield* bench.download(`${folder}/all/rows.jsonl`, { format: "jsonl", receipt: true })
      yield* bench.download(`${folder}/all/rows.csv`, { format: "csv" })
      const parts = `${folder}/parts`
      yield* bench.download(parts, { parts: true })
      const brief = (all: ReadonlyArray<Verification.Verification>) =>
        all.map(({ file, records, verified }) => `${file.slice(folder.length + 1)} ${records} ${verified}`)
      expect(brief(yield* Verification.verify(`${folder}/all`))).toEqual([
        "all 30 true",
        "all/rows.jsonl 30 true",
        "all/rows.csv 30 false"
      ])
      expect(brief(yield* Verification.verify(`${folder}/all/${id}.receipt.json`))).toEqual(["all 30 true"])
      expect(brief(yield* Verification.verify(`${folder}/all/rows.jsonl.receipt.json`))).toEqual([
        "all/rows.jsonl 30 true"
      ])
      expect(brief(yield* Verification.verify(parts))).toEqual([`parts/${id}.part-*.jsonl.gz 30 false`])
      yield* fs.remove(`${parts}/${id}.part-001.jsonl.gz`)
      expect(yield* Effect.flip(Verification.verify(parts))).toMatchObject({
        _tag: "StorageError",
        reason: "Unreadable",
        path: `${parts}/${id}.part-001.jsonl.gz`
      })
      yield* fs.makeDirectory(`${folder}/none`)
      expect(yield* Effect.flip(Verification.verify(`${folder}/none`))).toMatchObject({
        reason: "Unreadable",
        detail: "the folder holds no results"
      })
    }).pipe(Effect.provide([BatchConfig.layer(), NodeContext.layer]))
  )
})

/** `found`, `nothing`, or why what is there does not count. */
const found = ({ id }: Bench.Bench, options: DownloadOptions) =>
  Existing.find(id, options).pipe(
    Effect.match({
      onFailure: ({ detail, reason }) => (reason === "Exists" ? detail : reason),
      onSuccess: Option.match({ onNone: () => "nothing", onSome: () => "found" })
    })
  )
