import { NodeContext } from "@effect/platform-node"
import { expect, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Option } from "effect"
import * as Existing from "../../src/download/Existing.js"
import type * as Retrieval from "../../src/download/Retrieval.js"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as Bench from "../Bench.js"
import * as Disk from "../Disk.js"

const ways: ReadonlyArray<readonly [string, Partial<Retrieval.DownloadOptions>]> = [
  ["jsonl.gz", {}],
  ["jsonl", { format: "jsonl" }],
  ["csv", { format: "csv" }],
  ["csv of some columns", { format: "csv", columns: ["internal_id", "original_identifier"] }],
  ["parts", { parts: true }]
]

/** Where a crash comes: the call that fails, and all that would have followed. */
const moments: ReadonlyArray<readonly [string, ReadonlyArray<Disk.Fault>]> = [
  ["before the name is given", [{ call: "link", path: /out/u, code: "EIO" }]],
  [
    "behind it, with everything still there",
    [{ call: "remove", path: /partial|journal/u, since: "link", code: "EIO" }]
  ],
  ["before the last step of clearing up", [{ call: "remove", path: /journal$/u, since: "link", code: "EIO" }]]
]

layer(Bench.upstream, { excludeTestServices: true })("A publication that a crash interrupts", (it) => {
  for (const [way, options] of ways) {
    for (const [moment, faults] of moments) {
      it.scoped(`is ended by the next run, which fetches nothing: ${way}, ${moment}`, () =>
        Effect.gen(function* () {
          const disk = Disk.make(...faults, ...(moment.startsWith("before the name") ? [renames] : []))
          const broken = yield* Bench.make({ parts: 3 }, { fileSystem: disk.fileSystem })
          const sound = yield* Bench.make({}, { id: broken.id })
          const output = `${broken.folder}/out`
          expect(Exit.isFailure(yield* Effect.exit(broken.download(output, options)))).toBe(true)
          const before = (yield* sound.requests).length
          const receipt = yield* sound.download(output, options)
          expect(receipt).toMatchObject({ records: 100, complete: true, retries: 0 })
          expect(receipt.resumedBytes).toBe(receipt.parts.reduce((sum, { bytes }) => sum + bytes, 0))
          expect((yield* sound.requests).length).toBe(before)
          const clean = yield* sound.download(`${broken.folder}/clean`, options)
          for (const field of ["bytes", "records", "sha256", "source", "format"] as const) {
            expect(receipt[field], field).toEqual(clean[field])
          }
          expect(receipt.parts.map((part) => [part.bytes, part.records, part.etag, part.sha256])).toEqual(
            clean.parts.map((part) => [part.bytes, part.records, part.etag, part.sha256])
          )
          expect(yield* Bench.delivered(broken, "out")).toEqual(yield* Bench.delivered(broken, "clean"))
          expect((yield* broken.fs.readDirectory(broken.folder)).toSorted()).toEqual(["clean", "out"])
        })
      )
    }
  }

  it.scoped(
    "is ended by the next run where the receipt is missing, of rows, of parts, and of an empty result",
    () =>
      Effect.gen(function* () {
        for (const [job, options] of [
          [{}, {}],
          [{ parts: 3 }, { parts: true }],
          [{ records: 0 }, {}],
          [{ records: 0 }, { parts: true }]
        ] as const) {
          const disk = Disk.make({ call: "rename", path: /receipt\.json$/u, code: "EIO" })
          const broken = yield* Bench.make(job, { fileSystem: disk.fileSystem })
          const sound = yield* Bench.make({}, { id: broken.id })
          const place = { ...options, receipt: true, output: `${broken.folder}/out` }
          expect(Exit.isFailure(yield* Effect.exit(broken.download(place.output, place)))).toBe(true)
          const before = (yield* sound.requests).length
          // As whoever begins with a look at what is there does: a campaign, a collection, `--skip-existing`.
          const find = Existing.find(sound.id, place).pipe(Effect.provide(needs))
          expect(Option.isNone(yield* find)).toBe(true)
          const receipt = yield* sound.download(place.output, place)
          expect((yield* sound.requests).length).toBe(before)
          expect(Option.map(yield* find, ({ sha256 }) => sha256)).toEqual(Option.some(receipt.sha256))
          expect(
            (yield* broken.fs.readDirectory(broken.folder)).filter((name) => /partial|journal/u.test(name))
          ).toEqual([])
        }
      })
  )

  it.scoped("is not taken for that of another format, nor for a file that was put there since", () =>
    Effect.gen(function* () {
      const disk = Disk.make({ call: "remove", path: /partial|journal/u, since: "link", code: "EIO" })
      const broken = yield* Bench.make({}, { fileSystem: disk.fileSystem })
      const sound = yield* Bench.make({}, { id: broken.id })
      const output = `${broken.folder}/out`
      yield* Effect.exit(broken.download(output, { format: "jsonl" }))
      const exists = { _tag: "StorageError", reason: "Exists" }
      expect(yield* Effect.flip(sound.download(output, { format: "csv" }))).toMatchObject(exists)
      expect(yield* Effect.flip(sound.download(output))).toMatchObject(exists)
      yield* broken.fs.writeFileString(output, "somebody's")
      expect(yield* Effect.flip(sound.download(output, { format: "jsonl" }))).toMatchObject(exists)
      expect(yield* broken.fs.readFileString(output)).toBe("somebody's")
      expect(yield* sound.download(output, { format: "jsonl", force: true })).toMatchObject({ records: 100 })
    })
  )

  it.scoped("is ended by a forced run as well, and not begun anew", () =>
    Effect.gen(function* () {
      const disk = Disk.make({ call: "remove", path: /journal$/u, since: "rename", code: "EIO" })
      const broken = yield* Bench.make({}, { fileSystem: disk.fileSystem })
      const sound = yield* Bench.make({}, { id: broken.id })
      const output = `${broken.folder}/out`
      yield* broken.fs.writeFileString(output, "old")
      yield* Effect.exit(broken.download(output, { force: true }))
      const before = (yield* sound.requests).length
      expect(yield* sound.download(output, { force: true })).toMatchObject({ records: 100, complete: true })
      expect((yield* sound.requests).length).toBe(before)
    })
  )

  it.scoped("fetches what was damaged since, and keeps the parts that are there", () =>
    Effect.gen(function* () {
      const disk = Disk.make(
        { call: "link", path: /part-002/u, code: "EIO" },
        { call: "rename", path: /part-002\.jsonl\.gz$/u, code: "EIO" }
      )
      const broken = yield* Bench.make({ parts: 3 }, { fileSystem: disk.fileSystem })
      const sound = yield* Bench.make({}, { id: broken.id })
      const output = `${broken.folder}/out`
      yield* Effect.exit(broken.download(output, { parts: true }))
      const partial = `${output}/${broken.id}.part-002.jsonl.gz.partial`
      const bytes = yield* broken.fs.readFile(partial)
      yield* broken.fs.writeFile(
        partial,
        bytes.map((byte, at) => (at === 5000 ? byte ^ 1 : byte))
      )
      const receipt = yield* sound.download(output, { parts: true })
      expect(receipt).toMatchObject({ records: 100, complete: true })
      yield* sound.download(`${broken.folder}/clean`, { parts: true })
      expect(yield* Bench.delivered(broken, "out")).toEqual(yield* Bench.delivered(broken, "clean"))
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

const needs = Layer.merge(NodeContext.layer, Layer.orDie(BatchConfig.layer({})))

/** Where a link is refused, a rename is tried: in a crash neither comes. */
const renames: Disk.Fault = { call: "rename", path: /out(?:\/.*gz)?$/u, code: "EIO" }
