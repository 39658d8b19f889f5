import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { BatchId } from "@org/batch-core/Batch"
import * as Ledger from "@org/batch-core/Ledger"
import { DateTime, Duration, Effect, TestClock } from "effect"
import * as SubmitRecords from "../../src/run/SubmitRecords.js"

const batch_id = BatchId.make("01234567-89ab-4cde-8f01-23456789abcd")

type Kind = "sent" | "refused" | "undecided" | "sending"

const entryOf = (kind: Kind, at: DateTime.Utc): Ledger.Entry => {
  const common = { at, chunk: 0 }
  if (kind === "sent") return { _tag: kind, ...common, batch_id }
  return kind === "sending" ? { _tag: kind, ...common } : { _tag: kind, ...common, detail: "" }
}

it.effect(
  "are removed when they are settled for a month, and stay where what became of a job is not known",
  () =>
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const folder = yield* fs.makeTempDirectoryScoped()
      const write = (kind: Kind, ends: Kind = kind) =>
        Effect.gen(function* () {
          const path = yield* SubmitRecords.place(folder, `company/${kind}`)
          const at = yield* DateTime.now
          const lines = yield* Effect.forEach([entryOf("sending", at), entryOf(ends, at)], Ledger.format)
          yield* fs.writeFileString(path, `${lines.join("\n")}\n`)
          return path
        })
      const left = Effect.map(fs.readDirectory(folder), (names) =>
        names.map((name) => name.replace(/^.*company-|-\w{8}\.jsonl/gu, "")).toSorted()
      )
      yield* TestClock.setTime(Date.UTC(2026, 0, 31, 23))
      const sent = yield* write("sent")
      yield* fs.writeFileString(`${sent}.lock`, "of a process that died")
      for (const kind of ["refused", "undecided", "sending"] as const) yield* write(kind)
      yield* fs.writeFileString(`${folder}/20260101T000000Z-company-foreign-01234567.jsonl`, "no ledger\n")
      yield* fs.writeFileString(`${folder}/mine.txt`, "")
      // It was lost then, and is known since.
      yield* TestClock.adjust(Duration.days(20))
      yield* fs.rename(yield* write("sent"), `${folder}/20260131T230000Z-company-late-01234567.jsonl`)
      const before = yield* left

      yield* TestClock.adjust(Duration.subtract(SubmitRecords.kept, Duration.days(20)))
      yield* SubmitRecords.prune(folder)
      expect(yield* left).toEqual(before)
      yield* TestClock.adjust("1 minute")
      yield* SubmitRecords.prune(folder)
      expect(yield* left).toEqual(["foreign", "late", "mine.txt", "sending", "undecided"])
      yield* TestClock.adjust(Duration.days(400))
      yield* SubmitRecords.prune(folder)
      expect(yield* left).toEqual(["foreign", "mine.txt", "sending", "undecided"])
      yield* SubmitRecords.prune(`${folder}/none`)
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))
)
