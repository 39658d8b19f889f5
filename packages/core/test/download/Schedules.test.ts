import { expect, layer } from "@effect/vitest"
import type { Fault } from "@org/batch-sandbox"
import { Deferred, Duration, Effect, Exit, FastCheck as fc, Fiber } from "effect"
import type * as Retrieval from "../../src/download/Retrieval.js"
import * as Bench from "../Bench.js"

const { blockBytes, cellBytes } = Bench.sizes

/** Where something happens in an answer: the places at which code is wrong by one. */
const offsetIn = (memberBytes: number, lastByte: number) =>
  fc.oneof(
    fc.constantFrom(0, 1, 2, 9, 10, 11),
    fc.constantFrom(blockBytes - 1, blockBytes, blockBytes + 1),
    fc.constantFrom(cellBytes - 2, cellBytes - 1, cellBytes, cellBytes + 1),
    fc.constantFrom(memberBytes % cellBytes, (memberBytes % cellBytes) - 1, (memberBytes % cellBytes) + 1),
    fc.constantFrom(lastByte - 1, lastByte),
    fc.nat(cellBytes)
  )

const disturbance = (offset: fc.Arbitrary<number>): fc.Arbitrary<Fault.Effects> =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .record({
          afterBytes: offset,
          by: fc.constantFrom("reset" as const, "fin" as const),
          chunked: fc.boolean()
        })
        .map((cut) => ({ cut }))
    },
    { weight: 1, arbitrary: offset.map((afterBytes) => ({ stall: { afterBytes } })) },
    { weight: 1, arbitrary: fc.constantFrom(500, 503, 429).map((status) => ({ respond: { status } })) },
    { weight: 1, arbitrary: fc.constant({ expired: true }) },
    { weight: 1, arbitrary: fc.constant({ ignoreRange: true }) },
    {
      weight: 1,
      arbitrary: offset.map((afterBytes) => ({ ignoreRange: true, cut: { afterBytes, by: "fin" as const } }))
    },
    { weight: 1, arbitrary: fc.constant({ garbage: {} }) },
    { weight: 1, arbitrary: fc.constant({ wrongRange: { total: "*" as const } }) },
    { weight: 1, arbitrary: fc.nat(50).map((start) => ({ wrongRange: { start } })) }
  )

/** What happens to one run: faults, and after how many bytes it is interrupted, if at all. */
const scheduleOf = (memberBytes: number, lastByte: number) =>
  fc.record({
    rules: fc.array(
      fc
        .record({
          effects: disturbance(offsetIn(memberBytes, lastByte)),
          nth: fc.integer({ min: 1, max: 5 })
        })
        .map(({ effects, nth }): Fault.Rule => ({ on: { server: "storage", nth }, do: effects })),
      { maxLength: 4 }
    ),
    interruptAt: fc.option(fc.nat(40_000), { nil: undefined })
  })

const seed = Number(process.env["BATCH_TEST_SEED"] ?? 20_261_124)
const runs = Number(process.env["BATCH_TEST_RUNS"] ?? 4)

layer(Bench.upstream, { excludeTestServices: true })("Schedules of faults", (it) => {
  for (const [name, job, options] of [
    ["the merged file", { members: 3 }, {}],
    ["joined parts", { parts: 3, downloadUrl: false }, {}],
    ["separate parts", { parts: 3 }, { parts: true }],
    ["decompressed rows", { members: 2 }, { format: "jsonl" as const }]
  ] as const) {
    const schedules = fc.sample(fc.array(scheduleOf(12_900, 5600), { minLength: 1, maxLength: 3 }), {
      seed,
      numRuns: runs
    })
    for (const [index, schedule] of schedules.entries()) {
      it.scoped(
        `${name}, schedule ${index} of seed ${seed}, over ${schedule.length} runs and a last one`,
        () =>
          Effect.gen(function* () {
            const bench = yield* Bench.make(job, { transfer: { idleTimeout: "400ms" } })
            const { folder, fs, sandbox } = bench
            for (const { interruptAt, rules } of schedule) {
              yield* sandbox.clearFaults
              yield* sandbox.script(...rules)
              const { exit, faults } = yield* runUntil(bench, options, interruptAt)
              const failure = Bench.failureOf(exit)
              expect(faults, JSON.stringify(schedule)).toEqual([])
              if (Exit.isSuccess(exit)) break
              expect(
                [undefined, "TransferFailed", "ResultsUnavailable"],
                `${String(failure)} ${JSON.stringify(schedule)}`
              ).toContain(failure?._tag)
              expect("parts" in options || !(yield* fs.exists(`${folder}/out`))).toBe(true)
            }
            yield* sandbox.clearFaults
            // Without faults nothing is silent but a loaded machine.
            const patient = yield* Bench.make({}, { id: bench.id })
            if (!(yield* isDelivered(bench, "parts" in options)))
              yield* patient.download(`${folder}/out`, options)
            yield* patient.download(`${folder}/clean`, options)
            expect(yield* Bench.delivered(bench, "out"), JSON.stringify(schedule)).toEqual(
              yield* Bench.delivered(bench, "clean")
            )
            const left = (yield* fs.readDirectory(folder)).filter((file) => !/^(?:out|clean)$/u.test(file))
            expect(left).toEqual([])
          })
      )
    }
  }
})

/** Downloads, and interrupts the download after so many bytes. */
const runUntil = (
  bench: Bench.Bench,
  options: Partial<Retrieval.DownloadOptions>,
  interruptAt: number | undefined
) =>
  Effect.gen(function* () {
    const events: Array<Retrieval.Event> = []
    const arrived = yield* Deferred.make<void>()
    const onEvent = (event: Retrieval.Event) => {
      events.push(event)
      return event._tag === "Progress" && event.bytes >= (interruptAt ?? Number.POSITIVE_INFINITY)
        ? Deferred.succeed(arrived, undefined)
        : Effect.void
    }
    const fiber = yield* Effect.fork(bench.download(`${bench.folder}/out`, { ...options, onEvent }))
    const exit = yield* Effect.raceFirst(
      Fiber.await(fiber),
      Effect.zipRight(Deferred.await(arrived), Fiber.interrupt(fiber))
    ).pipe(
      Effect.timeoutFail({ duration: Duration.minutes(1), onTimeout: () => new Error("it hangs") }),
      Effect.orDie
    )
    return { exit, faults: Bench.progressFaults(events) }
  })

const isDelivered = ({ folder, fs }: Bench.Bench, parts: boolean) =>
  parts
    ? Effect.map(
        Effect.orElseSucceed(fs.readDirectory(`${folder}/out`), () => []),
        (names) => names.some((name) => name.endsWith(".gz")) && !names.some((name) => !name.endsWith(".gz"))
      )
    : fs.exists(`${folder}/out`)
