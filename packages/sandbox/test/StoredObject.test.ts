import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import * as Content from "../src/Content.js"
import * as Job from "../src/Job.js"
import type { JobSpec } from "../src/JobSpec.js"
import * as Records from "../src/Records.js"
import * as Spool from "../src/Spool.js"
import * as StoredObject from "../src/StoredObject.js"

const layout = FastCheck.record({
  records: FastCheck.integer({ min: 1, max: 40 }),
  parts: FastCheck.integer({ min: 1, max: 9 }),
  members: FastCheck.integer({ min: 1, max: 9 }),
  version: FastCheck.integer({ min: 0, max: 3 })
})

it.scoped("merged file and part files hold the same lines, in the members asked for, in every version", () =>
  Effect.flatMap(temporary, (folder) =>
    Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(layout, ({ version, ...spec }) =>
          Effect.runPromise(
            Effect.gen(function* () {
              const { job, line, spool } = yield* written(folder, { ...spec, recordBytes: 300 })
              const expected = Array.from({ length: job.records }, (_, index) =>
                Buffer.concat(line(index)).toString()
              )
              const merged = yield* bytes(spool, StoredObject.mergedName, version)
              expect(split(gunzipSync(merged)).toSorted()).toEqual(expected.toSorted())
              if (version === 0) expect(split(gunzipSync(merged))).toEqual(expected)
              expect(merged.length).toBe((yield* bytes(spool, StoredObject.mergedName, 0)).length)
              expect(count(merged, gzipHeader(version))).toBe(job.members)
              const parts = yield* Effect.forEach(
                Array.from({ length: job.parts }, (_, part) => part),
                (part) => bytes(spool, StoredObject.partName(part), 0)
              )
              expect(parts.flatMap((part) => split(gunzipSync(part)))).toEqual(expected)
              expect(StoredObject.find(spool, StoredObject.partName(job.parts), 0)).toBeUndefined()
            })
          )
        ),
        { numRuns: 25 }
      )
    )
  )
)

it.scoped("each version has an etag of its own, each name too", () =>
  Effect.gen(function* () {
    const { spool } = yield* written(yield* temporary, { records: 20, parts: 2 })
    const etags = ["merged.jsonl.gz", "part-000.jsonl.gz", "part-001.jsonl.gz"].flatMap((name) =>
      [0, 1, 2].map((version) => StoredObject.find(spool, name, version)?.etag)
    )
    expect(new Set(etags).size).toBe(9)
  })
)

it.scoped("lines are counted as they are written", () =>
  Effect.gen(function* () {
    const seen: Array<number> = []
    const { spool } = yield* written(yield* temporary, { records: 1000 }, (lines) => seen.push(lines))
    expect(seen.at(-1)).toBe(1000)
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(spool.jsonBytes).toBeGreaterThan(4_000_000)
  })
)

const written = (folder: string, spec: JobSpec, progress: (lines: number) => void = () => undefined) =>
  Effect.gen(function* () {
    const defaults = { pendingMs: 0, processingMs: 0, linkTtlSeconds: 60 }
    const job = Job.make(spec, defaults, { id: "job", sequence: 1, createdAt: 0 })
    const line = Records.lines(1, job)
    const spool = yield* Spool.write(join(folder, "job.deflate"), job, line, progress)
    return { job, line, spool }
  })

const bytes = (spool: Spool.Spool, name: string, version: number) =>
  Effect.map(Content.read(StoredObject.find(spool, name, version)?.content ?? Content.empty), (content) =>
    Buffer.from(content)
  )

const split = (text: Buffer): ReadonlyArray<string> => text.toString().match(/[^\n]*\n/g) ?? []

const gzipHeader = (version: number) => Buffer.from([0x1f, 0x8b, 8, 0, version, 0, 0, 0, 0, 3])

const count = (within: Buffer, wanted: Buffer): number =>
  within.toString("latin1").split(wanted.toString("latin1")).length - 1

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "spool-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)
