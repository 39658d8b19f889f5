import { HttpClientRequest, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, FastCheck as fc, Fiber, Option, Scope, TestClock } from "effect"
import * as Blocks from "../../src/transfer/Blocks.js"

describe("Blocks", () => {
  it.scoped("gathers chunks up to the size, loses none, and ends", () =>
    Effect.gen(function* () {
      const chunks = [3, 3, 3, 3, 3].map((length, n) => new Uint8Array(length).fill(n))
      const blocks = yield* read(chunks, 6)
      expect((yield* all(blocks)).map((block) => [...block])).toEqual([
        [0, 0, 0, 1, 1, 1],
        [2, 2, 2, 3, 3, 3],
        [4, 4, 4]
      ])
    })
  )

  it.scoped("gives what came before a failure, then the failure, each time", () =>
    Effect.gen(function* () {
      const blocks = yield* read([Uint8Array.of(1), new Error("reset")], 100)
      expect(Option.getOrThrow(yield* blocks.next)).toEqual(Uint8Array.of(1))
      expect(yield* Effect.flip(blocks.next)).toMatchObject({ _tag: "Broken" })
      expect(yield* Effect.flip(blocks.next)).toMatchObject({ _tag: "Broken" })
    })
  )

  it.scoped("stalls after the idle time, of which the time between two calls is no part", () =>
    Effect.gen(function* () {
      const blocks = yield* read([Uint8Array.of(1, 2), "silence"], 2)
      expect(Option.isSome(yield* blocks.next)).toBe(true)
      yield* TestClock.adjust("1 hour")
      const waiting = yield* Effect.fork(Effect.exit(blocks.next))
      yield* TestClock.adjust("29999 millis")
      expect(Option.isNone(yield* Fiber.poll(waiting))).toBe(true)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(waiting)).toEqual(Exit.fail({ _tag: "Stalled" }))
    })
  )

  it.scoped("a stall in the middle of a block gives its beginning first", () =>
    Effect.gen(function* () {
      const blocks = yield* read([Uint8Array.of(7), "silence"], 100)
      const first = yield* Effect.fork(blocks.next)
      yield* TestClock.adjust("30 seconds")
      expect(Option.getOrThrow(yield* Fiber.join(first))).toEqual(Uint8Array.of(7))
      expect(yield* Effect.flip(blocks.next)).toEqual({ _tag: "Stalled" })
    })
  )

  it.scoped("a chunk of nothing is no end", () =>
    Effect.gen(function* () {
      const blocks = yield* read([new Uint8Array(0), Uint8Array.of(1), new Uint8Array(0)], 1)
      expect(Buffer.concat(yield* all(blocks))).toEqual(Buffer.from([1]))
    })
  )

  it.effect("needs the memory of one block, and none when its scope is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const blocks = yield* Scope.extend(
        read([new Uint8Array(100_000), new Uint8Array(200_000).fill(1)], 100_000),
        scope
      )
      const [first, second] = [Option.getOrThrow(yield* blocks.next), Option.getOrThrow(yield* blocks.next)]
      expect(first).toEqual(second)
      yield* Scope.close(scope, Exit.void)
      expect([first.length, second.length]).toEqual([0, 0])
    })
  )

  it("gives every byte once and in order, however it is cut", async () => {
    const portions = fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 })
    await fc.assert(
      fc.asyncProperty(portions, fc.integer({ min: 1, max: 40 }), async (chunks, size) => {
        const found = await Effect.runPromise(Effect.scoped(Effect.flatMap(read(chunks, size), all)))
        expect(Buffer.concat(found).equals(Buffer.concat(chunks))).toBe(true)
        expect(found.every((block) => block.length > 0)).toBe(true)
      }),
      { seed: 7 }
    )
  })
})

// ----------------------------------------------------------------------------------------------------------------

type Piece = Uint8Array | Error | "silence"

/** A response whose socket gives these pieces. */
const read = (pieces: ReadonlyArray<Piece>, size: number) => {
  const source = async function* () {
    for (const piece of pieces) {
      if (piece instanceof Error) throw piece
      if (piece === "silence") await new Promise(() => undefined)
      else yield piece
    }
  }
  const response = HttpClientResponse.fromWeb(HttpClientRequest.get("https://files.test/"), new Response(""))
  Object.defineProperty(response, "source", { value: source() })
  return Blocks.make(response, { size, idle: Duration.seconds(30) })
}

const all = (blocks: Blocks.Blocks): Effect.Effect<ReadonlyArray<Uint8Array>, Blocks.BlockFailure> =>
  Effect.flatMap(
    blocks.next,
    Option.match({
      onNone: () => Effect.succeed([]),
      onSome: (block) => {
        const copy = new Uint8Array(block)
        return Effect.map(all(blocks), (rest) => [copy, ...rest])
      }
    })
  )
