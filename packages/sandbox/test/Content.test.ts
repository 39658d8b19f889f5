import { expect, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Content from "../src/Content.js"

const read = (content: Content.Content) =>
  Effect.map(Content.read(content), (bytes) => Buffer.from(bytes).toString())

it.effect("a slice of joined content is the slice of its bytes, at every border", () =>
  Effect.gen(function* () {
    const folder = yield* temporary
    const path = join(folder, "file")
    writeFileSync(path, "0123456789")
    const content = Content.concat([
      Content.text("ab"),
      Content.file(path, 2, 3),
      Content.file(path, 5, 2),
      Content.text("yz")
    ])
    expect(content.segments.length).toBe(3)
    for (let start = 0; start <= content.size; start++) {
      for (let length = 0; length <= content.size; length++) {
        expect(yield* read(Content.slice(content, start, length))).toBe(
          "ab23456yz".slice(start, start + length)
        )
      }
    }
  }).pipe(Effect.scoped)
)

it.effect("repeats a unit to any length", () =>
  Effect.promise(() =>
    FastCheck.assert(
      FastCheck.asyncProperty(FastCheck.nat(1_000_000), async (length) => {
        const content = Content.repeated(Buffer.from("abc"), length)
        const bytes = await Content.stream(content).toArray()
        expect(Buffer.concat(bytes).length).toBe(length)
      }),
      { numRuns: 10 }
    )
  )
)

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "content-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)
