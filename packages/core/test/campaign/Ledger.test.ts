import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Exit, FastCheck as fc, Option, Schema } from "effect"
import * as Ledger from "../../src/campaign/Ledger.js"
import * as LocalMachine from "../../src/disk/LocalMachine.js"
import { BatchId } from "../../src/model/Batch.js"
import * as Disk from "../Disk.js"

const at = DateTime.unsafeMake(1_700_000_000_000)
const idOf = (n: number) => BatchId.make(`01234567-89ab-4cde-8f01-${String(n).padStart(12, "0")}`)

const begun: Ledger.Entry = {
  _tag: "campaign",
  at,
  version: 1,
  campaign: "c0ffee",
  kind: "company/enrich",
  property: "domains",
  body: { fields: ["name"] },
  input: { path: "leads.csv", sha256: "00", format: "csv", column: "website" },
  output: "out.jsonl.gz",
  format: "jsonl.gz",
  join: false
}
const plan: Ledger.Entry = {
  _tag: "plan",
  at,
  rows: 5,
  unique: 3,
  rejected: 1,
  duplicates: 1,
  columns: ["website", "Größe"],
  chunks: [
    { count: 2, offset: 0, bytes: 20 },
    { count: 1, offset: 20, bytes: 10 }
  ]
}
const ended = (chunk: number, status: string): Ledger.Entry => ({
  _tag: "ended",
  at,
  chunk,
  batch_id: idOf(chunk),
  status,
  requested: 2,
  fulfilled: 1
})
const history: ReadonlyArray<Ledger.Entry> = [
  begun,
  plan,
  { _tag: "sending", at, chunk: 0 },
  { _tag: "sent", at, chunk: 0, batch_id: idOf(0), request_id: "r-0" },
  { _tag: "sending", at, chunk: 1 },
  { _tag: "undecided", at, chunk: 1, request_id: "r-1", detail: "503" },
  ended(0, "completed"),
  { _tag: "kept", at, chunk: 0, batch_id: idOf(0), records: 2 },
  { _tag: "refused", at, chunk: 1, detail: "it is in neither" },
  { _tag: "finished", at }
]

const inFolder = <A, E>(use: (path: string) => Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(`${yield* fs.makeTempDirectoryScoped()}/deep/ledger.jsonl`)
  }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

const written = (path: string, entries: ReadonlyArray<Ledger.Entry>) =>
  Effect.gen(function* () {
    const ledger = yield* Ledger.file(path)
    yield* Effect.forEach(entries, ledger.append)
    return yield* ledger.read
  }).pipe(Effect.scoped)

const withText = (path: string, text: string | Uint8Array) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    yield* fs.makeDirectory(paths.dirname(path), { recursive: true })
    yield* fs.writeFile(path, typeof text === "string" ? new TextEncoder().encode(text) : text)
    return yield* Effect.either(written(path, []))
  })

describe("file", () => {
  it.effect("gives back what was written, also by those before", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        expect(yield* written(path, history.slice(0, 4))).toEqual(history.slice(0, 4))
        expect(yield* written(path, history.slice(4))).toEqual(history)
        expect(yield* Ledger.entries(path)).toEqual(history)
      })
    )
  )

  it.effect("cut anywhere has all entries before, and goes on from there", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* written(path, history)
        const whole = yield* fs.readFile(path)
        const text = new TextDecoder()
        for (let length = 0; length < whole.length; length += length < 60 ? 1 : 37) {
          const lines = text.decode(whole.subarray(0, length)).split("\n").length - 1
          yield* fs.writeFile(path, whole.subarray(0, length))
          expect(yield* Ledger.entries(path)).toEqual(history.slice(0, lines))
          const more = yield* written(path, history.slice(lines, lines + 1))
          expect(more, `${length} bytes`).toEqual(history.slice(0, lines + 1))
        }
      })
    )
  )

  it.effect("of another version, of somebody else, or with garbage in it is left alone", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* written(path, history)
        const lines = (yield* fs.readFileString(path)).split("\n")
        const first = lines[0] ?? ""
        const cases: ReadonlyArray<readonly [string, string]> = [
          [`${first.replace('"version":1', '"version":2')}\n`, "a newer version (2)"],
          [`${first.replace('"version":1', '"version":0')}\n`, "an older version (0)"],
          [`{"name":"x","version":3}\n`, "line 1 is no entry"],
          ["hello\n", "line 1 is no entry"],
          ["\n", "line 1 is no entry"],
          [[...lines.slice(0, 3), "\u0000\u0000", ...lines.slice(3)].join("\n"), "line 4 is no entry"],
          [lines.join("\n").replace('"sending"', '"senting"'), "line 3 is no entry"]
        ]
        for (const [text, words] of cases) {
          const read = yield* withText(path, text)
          expect(read, words).toMatchObject({ _tag: "Left", left: { reason: "Unreadable" } })
          expect(JSON.stringify(read)).toContain(words)
          expect(yield* fs.readFileString(path)).toBe(text)
        }
      })
    )
  )

  it.live("is one process's alone, which is named", () =>
    inFolder((path) =>
      Effect.gen(function* () {
        const machine = (name: string): LocalMachine.Service => ({
          ...LocalMachine.unknown,
          self: Effect.succeed(name),
          processId: (known) => (known === "boot 4711" ? Option.some(4711) : Option.none())
        })
        const refused = yield* Effect.gen(function* () {
          const first = yield* Ledger.file(path)
          return yield* Effect.race(
            first.holding(Effect.never),
            Effect.flip(
              Effect.scoped(
                Effect.provideService(Ledger.file(path), LocalMachine.LocalMachine, machine("boot 1"))
              )
            )
          )
        }).pipe(Effect.scoped, Effect.provideService(LocalMachine.LocalMachine, machine("boot 4711")))
        expect(refused).toMatchObject({ reason: "Exists", path, detail: "process 4711 runs this campaign" })
        expect(yield* written(path, [begun])).toEqual([begun])
      })
    )
  )

  it.effect(
    "takes nothing more when an entry could not be written whole, and is whole when it is opened again",
    () =>
      inFolder((path) =>
        Effect.gen(function* () {
          const fs = yield* FileSystem.FileSystem
          const disk = Disk.make({
            call: "writeAll",
            path: /ledger\.jsonl$/u,
            nth: 3,
            times: 1,
            code: "ENOSPC",
            after: 9
          })
          const exits = yield* Effect.gen(function* () {
            const ledger = yield* Ledger.file(path)
            return yield* Effect.forEach(history.slice(0, 4), (entry) => Effect.exit(ledger.append(entry)))
          }).pipe(Effect.scoped, Effect.provideService(FileSystem.FileSystem, disk.fileSystem(fs)))
          expect(exits.map(Exit.isSuccess)).toEqual([true, true, false, false])
          expect(yield* written(path, history.slice(2))).toEqual(history)
        })
      )
  )
})

describe("stateOf", () => {
  it("says where a campaign stands", () => {
    const state = Ledger.stateOf(history)
    expect(state).toMatchObject({
      chunks: [
        { _tag: "Kept", batchId: idOf(0), records: 2, requested: 2, fulfilled: 1, requestId: "r-0" },
        { _tag: "Planned" }
      ],
      isPublished: false,
      isFinished: true
    })
    expect(Ledger.stateOf(history.slice(0, 6)).chunks[1]).toEqual({
      _tag: "Lost",
      sentAt: at,
      requestId: "r-1",
      detail: "503"
    })
    expect(Ledger.claimedBy(history)).toEqual([idOf(0)])
  })

  it("calls what was sent and not answered lost, whatever came before", () => {
    const chunkEntry = fc.oneof(
      fc.constantFrom<Ledger.Entry>(
        { _tag: "sending", at, chunk: 0 },
        { _tag: "refused", at, chunk: 0, detail: "" }
      ),
      fc.constantFrom<Ledger.Entry>(
        { _tag: "sent", at, chunk: 0, batch_id: idOf(0) },
        ended(0, "completed"),
        ended(0, "failed")
      ),
      fc.constantFrom<Ledger.Entry>(
        { _tag: "undecided", at, chunk: 0, detail: "x" },
        { _tag: "kept", at, chunk: 0, batch_id: idOf(0), records: 1 },
        ended(7, "failed")
      )
    )
    fc.assert(
      fc.property(fc.array(chunkEntry, { maxLength: 12 }), (entries) => {
        const all = [begun, plan, ...entries]
        const { chunks } = Ledger.stateOf(all)
        expect(chunks).toHaveLength(2)
        expect(chunks[1]).toEqual({ _tag: "Planned" })
        const last = entries.findLast(
          (entry) => "chunk" in entry && entry.chunk === 0 && entry._tag !== "kept"
        )
        const expected: Partial<Record<Ledger.Entry["_tag"], ReadonlyArray<string>>> = {
          sending: ["Lost"],
          undecided: ["Lost"],
          refused: ["Planned"],
          sent: ["Running"],
          ended: last?._tag === "ended" && last.status === "failed" ? ["Failed"] : ["Completed", "Kept"]
        }
        expect(last === undefined ? ["Planned"] : expected[last._tag]).toContain(chunks[0]?._tag)
        const again = Schema.decodeSync(Schema.Array(Ledger.Entry))(
          Schema.encodeSync(Schema.Array(Ledger.Entry))(all)
        )
        expect(Ledger.stateOf(again)).toEqual(Ledger.stateOf(all))
      })
    )
  })

  it("keeps the id of a lost request when a later look has none", () => {
    const lost: Ledger.Entry = { _tag: "undecided", at, chunk: 1, detail: "again" }
    expect(Ledger.stateOf([...history.slice(0, 6), lost]).chunks[1]).toMatchObject({
      requestId: "r-1",
      detail: "again"
    })
  })
})
