import { expect, layer } from "@effect/vitest"
import { Effect, Exit } from "effect"
import * as Bench from "../Bench.js"
import type * as Retrieval from "../../src/download/Retrieval.js"
import * as Disk from "../Disk.js"

interface Row {
  readonly name: string
  readonly fault: Disk.Fault
  readonly reason: "NoSpace" | "Denied" | "Unwritable" | "Exists"
  /** Whether some of the bytes must be of use to the next run. */
  readonly resumed?: boolean
  readonly format?: "jsonl" | "csv"
  readonly force?: boolean
}

const rows: ReadonlyArray<Row> = [
  {
    name: "no space for the partial file",
    fault: { call: "open", path: /partial$/u, code: "ENOSPC" },
    reason: "NoSpace"
  },
  {
    name: "no right to the folder",
    fault: { call: "open", path: /partial$/u, code: "EACCES" },
    reason: "Denied"
  },
  {
    name: "no space at once",
    fault: { call: "writeAll", path: /partial$/u, code: "ENOSPC" },
    reason: "NoSpace"
  },
  {
    name: "no space in the middle of a block",
    fault: { call: "writeAll", path: /partial$/u, nth: 6, after: 100, code: "ENOSPC" },
    reason: "NoSpace",
    resumed: true
  },
  {
    name: "an error of the device in the middle",
    fault: { call: "writeAll", path: /partial$/u, nth: 6, code: "EIO" },
    reason: "Unwritable",
    resumed: true
  },
  {
    name: "a quota",
    fault: { call: "writeAll", path: /partial$/u, nth: 4, after: 1, code: "EDQUOT" },
    reason: "NoSpace",
    resumed: true
  },
  {
    name: "a sync that fails",
    fault: { call: "sync", path: /partial$/u, code: "EIO" },
    reason: "Unwritable"
  },
  {
    name: "a sync that fails later",
    fault: { call: "sync", path: /partial$/u, nth: 2, code: "EIO" },
    reason: "Unwritable"
  },
  {
    name: "no space for the journal",
    fault: { call: "writeAll", path: /journal/u, code: "ENOSPC" },
    reason: "NoSpace"
  },
  {
    name: "no space for a later journal",
    fault: { call: "writeAll", path: /journal/u, nth: 2, after: 30, code: "ENOSPC" },
    reason: "NoSpace",
    resumed: true
  },
  {
    name: "a journal that cannot be synced",
    fault: { call: "sync", path: /journal/u, code: "EIO" },
    reason: "Unwritable"
  },
  {
    name: "a journal that cannot be renamed",
    fault: { call: "rename", path: /journal/u, code: "EACCES" },
    reason: "Denied"
  },
  {
    name: "no space for the rows",
    fault: { call: "writeAll", path: /out\.partial$/u, nth: 2, after: 9, code: "ENOSPC" },
    reason: "NoSpace",
    format: "jsonl"
  },
  {
    name: "rows that cannot be synced",
    fault: { call: "sync", path: /out\.partial$/u, code: "EIO" },
    reason: "Unwritable",
    format: "jsonl"
  },
  {
    name: "no space for the table",
    fault: { call: "writeAll", path: /out\.partial$/u, nth: 1, after: 9, code: "ENOSPC" },
    reason: "NoSpace",
    format: "csv",
    resumed: true
  },
  {
    name: "a table that cannot be synced",
    fault: { call: "sync", path: /out\.partial$/u, code: "EIO" },
    reason: "Unwritable",
    format: "csv",
    resumed: true
  },
  {
    name: "no space for the name",
    fault: { call: "link", path: /out$/u, code: "ENOSPC" },
    reason: "NoSpace",
    resumed: true
  },
  {
    name: "a destination that appears at the last moment",
    fault: { call: "link", path: /out$/u, code: "EEXIST" },
    reason: "Exists",
    resumed: true
  },
  {
    name: "a rename over the old file that fails",
    fault: { call: "rename", path: /out$/u, code: "EACCES" },
    reason: "Denied",
    resumed: true,
    force: true
  }
]

layer(Bench.upstream, { excludeTestServices: true })("Faults of the disk", (it) => {
  for (const { fault, force = false, format, name, reason, resumed = false } of rows) {
    it.scoped(`${name}: ${reason}${resumed ? ", and the next run goes on" : ""}`, () =>
      Effect.gen(function* () {
        const disk = Disk.make(fault)
        const broken = yield* Bench.make({ members: 3 }, { fileSystem: disk.fileSystem })
        const sound = yield* Bench.make({}, { id: broken.id })
        const output = `${broken.folder}/out`
        if (force) yield* broken.fs.writeFileString(output, "old")
        yield* broken.sandbox.script({
          on: { server: "storage" },
          times: -1,
          do: { trickle: { bytesPerSecond: 200_000 } }
        })
        const exit = yield* Effect.exit(broken.download(output, { format, force })).pipe(
          Effect.timeout("1 minute")
        )
        yield* broken.sandbox.clearFaults
        const failure = Bench.failureOf(exit)
        expect([
          failure?._tag,
          failure?._tag === "StorageError" ? failure.reason : Exit.isSuccess(exit)
        ]).toEqual(["StorageError", reason])
        expect(Math.max(...disk.struck())).toBeGreaterThan(0)
        if (force) expect(yield* broken.fs.readFileString(output)).toBe("old")
        else expect(yield* broken.fs.exists(output)).toBe(false)

        const receipt = yield* sound.download(output, { format, force })
        if (resumed) expect(receipt.resumedBytes).toBeGreaterThan(0)
        yield* sound.download(`${broken.folder}/clean`, { format })
        const [delivered, clean] = [
          yield* Bench.delivered(broken, "out"),
          yield* Bench.delivered(broken, "clean")
        ]
        expect(delivered).toEqual(clean)
        expect((yield* broken.fs.readDirectory(broken.folder)).toSorted()).toEqual(["clean", "out"])
      })
    )
  }

  for (const code of ["EINVAL", "ENOTSUP", "ENOSYS"]) {
    it.scoped(`a file system without sync (${code}) is told of once, and no failure`, () =>
      Effect.gen(function* () {
        const disk = Disk.make({ call: "sync", path: /./u, code })
        const bench = yield* Bench.make({ members: 3 }, { fileSystem: disk.fileSystem })
        const events: Array<Retrieval.Event> = []
        const receipt = yield* bench.download(`${bench.folder}/out`, { events, receipt: true })
        expect(receipt.complete).toBe(true)
        expect(events.filter(({ _tag }) => _tag === "NotDurable")).toEqual([
          { _tag: "NotDurable", path: `${bench.folder}/out.partial`, code }
        ])
        expect((yield* bench.fs.readDirectory(bench.folder)).toSorted()).toEqual(["out", "out.receipt.json"])
      })
    )
  }

  it.scoped("syncs the bytes before the journal claims them, and publishes what is synced", () =>
    Effect.gen(function* () {
      const disk = Disk.make()
      const bench = yield* Bench.make({ members: 3 }, { fileSystem: disk.fileSystem })
      yield* bench.download(`${bench.folder}/out`)
      const calls = disk.calls.filter((call) => /^(?:sync|link|rename)/u.test(call))
      const journals = calls.flatMap((call, index) => (call === "rename out.journal" ? [index] : []))
      expect(journals.length).toBeGreaterThan(1)
      for (const index of journals) {
        expect(calls.slice(0, index).findLast((call) => call.startsWith("sync out.partial"))).toBeDefined()
        expect(calls[index - 1]).toBe("sync out.journal.next")
      }
      const lastWrite = disk.calls.findLastIndex((call) => call === "writeAll out.partial")
      const published = disk.calls.indexOf("link out")
      expect(disk.calls.slice(lastWrite, published)).toContain("sync out.partial")
    })
  )

  for (const [name, prepare, reason] of [
    ["a folder", "folder", "Unwritable"],
    ["a link to a file", "link", "Exists"],
    ["a link to nothing", "dangling", "Exists"]
  ] as const) {
    it.scoped(`a destination that is ${name}: ${reason}, and it is untouched`, () =>
      Effect.gen(function* () {
        const { download, folder, fs } = yield* Bench.make({ members: 3 })
        const output = `${folder}/out`
        if (prepare === "folder") yield* fs.makeDirectory(output)
        else yield* fs.symlink(`${folder}/target`, output)
        if (prepare === "link") yield* fs.writeFileString(`${folder}/target`, "old")
        expect(yield* Effect.flip(download(output))).toMatchObject({ _tag: "StorageError", reason })
        if (prepare === "folder") expect(yield* fs.readDirectory(output)).toEqual([])
        else expect(yield* fs.readLink(output)).toBe(`${folder}/target`)
        if (prepare === "link") expect(yield* fs.readFileString(`${folder}/target`)).toBe("old")
      })
    )
  }

  it.scoped("a forced download replaces a link, and not what it leads to", () =>
    Effect.gen(function* () {
      const { download, folder, fs } = yield* Bench.make({ members: 3 })
      yield* fs.writeFileString(`${folder}/target`, "old")
      yield* fs.symlink(`${folder}/target`, `${folder}/out`)
      yield* download(`${folder}/out`, { force: true })
      expect(yield* fs.readFileString(`${folder}/target`)).toBe("old")
      expect((yield* fs.stat(`${folder}/out`)).size).not.toBe(3n)
    })
  )

  for (const [name, output] of [
    ["a name that is too long", "x".repeat(256)],
    ["a name whose companions would be too long", "x".repeat(245)],
    ["a path through a file", "file/out"],
    ["a name with a zero in it", "a\0b"]
  ] as const) {
    it.scoped(`${name}: typed, and soon`, () =>
      Effect.gen(function* () {
        const { download, folder, fs, requests } = yield* Bench.make({ members: 3 })
        yield* fs.writeFileString(`${folder}/file`, "old")
        expect((yield* Effect.flip(download(`${folder}/${output}`)))._tag).toBe("StorageError")
        expect((yield* requests).length).toBeLessThanOrEqual(6)
        expect(yield* fs.readFileString(`${folder}/file`)).toBe("old")
      })
    )
  }

  for (const concurrency of [0, -3, 1, 64]) {
    it.scoped(`concurrency ${concurrency} ends whole, with at most that many connections`, () =>
      Effect.gen(function* () {
        const bench = yield* Bench.make({ parts: 8 })
        yield* bench.sandbox.script({
          on: { server: "storage" },
          times: -1,
          do: { busy: { above: Math.max(1, concurrency) }, delay: { ms: 2 } }
        })
        const receipt = yield* bench.download(`${bench.folder}/out`, { concurrency, parts: true })
        expect(receipt).toMatchObject({ complete: true, retries: 0 })
      })
    )
  }
})
