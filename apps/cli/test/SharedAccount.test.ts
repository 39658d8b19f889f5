/** Two campaigns and a colleague on one account: five slots for all, and nobody is left without. */
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { objects, type World, world } from "./Batchctl.js"

const maxActive = 2

interface Job {
  readonly batch_id: string
  readonly created_at: string
  readonly completed_at: string | null
}

const call = ({ sandbox }: World, path: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const headers = { authorization: `Bearer ${sandbox.apiKey}`, "x-api-version": "2025-11-01" }
    const answer = await fetch(`${sandbox.baseUrl}${path}`, { ...init, headers })
    return { status: answer.status, text: await answer.text() }
  })

const jobsOf = (there: World) =>
  Effect.map(call(there, "/batch?limit=100"), ({ text }): ReadonlyArray<Job> => JSON.parse(text).jobs)

/** The most jobs that were active at one time. */
const mostAtOnce = (jobs: ReadonlyArray<Job>): number =>
  Math.max(
    ...jobs.map(
      ({ created_at }) =>
        jobs.filter(
          (other) =>
            other.created_at <= created_at && (other.completed_at === null || other.completed_at > created_at)
        ).length
    )
  )

/** The jobs that the ledger of each campaign claims. */
const claimed = ({ folder }: World) => {
  const campaigns = join(folder, ".local", "state", "batchctl", "campaigns")
  return readdirSync(campaigns).map((name) =>
    objects(readFileSync(join(campaigns, name, "ledger.jsonl"), "utf8")).flatMap(({ _tag, batch_id }) =>
      _tag === "sent" ? [String(batch_id)] : []
    )
  )
}

it.scopedLive(
  "two campaigns and a colleague keep to the slots of the account and to their credits, and all come to their end",
  () =>
    Effect.gen(function* () {
      // Longer than a busy machine takes from one submit to the next.
      const submitted = { recordBytes: 200, pendingMs: 0, processingMs: 2000, parts: 1 }
      const there = yield* world({ submitted, usageDelayMs: 0, credits: 10_000 })
      const colleague = call(there, "/batch/company/enrich", {
        method: "POST",
        body: JSON.stringify({ domains: ["acme.com"] })
      })
      // Three of the five slots are the colleague's at first.
      yield* there.sandbox.onSubmit(...[1, 2, 3].map((nth) => ({ nth, job: { ...submitted, stuck: true } })))
      const first = (yield* Effect.replicateEffect(colleague, 3)).map(({ text }): Job => JSON.parse(text))
      const lists = ["a", "b"].map((name) => {
        const people = Array.from({ length: 1100 }, (_, at) => `${name}${at}@acme.example`)
        writeFileSync(join(there.folder, `${name}.txt`), `${people.join("\n")}\n`)
        return name
      })
      const command = (name: string, credits: number) =>
        `run person identify --as emails --input ${name}.txt -o ${name}.jsonl --yes --max-active ${maxActive} --max-credits ${credits}`.split(
          " "
        )
      const running = yield* Effect.fork(
        Effect.forEach(lists, (name) => there.run(command(name, 1100)), { concurrency: 2 })
      )
      // The campaigns wait for slots, until there are some.
      const refusals = Effect.map(
        there.sandbox.requests,
        (all) => all.filter(({ method, status }) => method === "POST" && status === 429).length
      )
      yield* Effect.repeat(Effect.delay(refusals, "100 millis"), { until: (count) => count > 0 })
      yield* Effect.forEach(first, ({ batch_id }) => there.sandbox.job(batch_id).complete)
      // Then the colleague comes again and again: there is always a slot for one job.
      const later: Array<number> = []
      while (Option.isNone(yield* Fiber.poll(running))) {
        later.push((yield* colleague).status)
        yield* Effect.sleep("2400 millis")
      }
      const outcomes = yield* Fiber.join(running)
      expect(outcomes.map(({ code, stderr }) => (code === 0 ? code : stderr))).toEqual([0, 0])
      expect(later.length).toBeGreaterThan(0)
      expect(later.filter((status) => status !== 202)).toEqual([])
      // They took no more than they may, nor than there are.
      const jobs = yield* jobsOf(there)
      const own = claimed(there).map((ids) => jobs.filter(({ batch_id }) => ids.includes(batch_id)))
      expect(own.map(({ length }) => length)).toEqual([4, 4])
      expect(own.map(mostAtOnce)).toEqual([maxActive, maxActive])
      expect(mostAtOnce(jobs)).toBeLessThanOrEqual(5)

      // Not a single input more than is paid for.
      const submits = Effect.map(
        there.sandbox.requests,
        (all) => all.filter(({ method }) => method === "POST").length
      )
      const posts = yield* submits
      writeFileSync(join(there.folder, "c.txt"), readFileSync(join(there.folder, "a.txt")))
      const refused = yield* there.run(command("c", 1099))
      expect(`${refused.code} ${refused.stderr}`).toMatch(/^2 .*1,100 credits.*1,099 are allowed/su)
      expect(yield* submits).toBe(posts)
    })
)

it.scopedLive(
  "a failed job counts as one that may have cost, so that its second try stays within the credits",
  () =>
    Effect.gen(function* () {
      const submitted = { recordBytes: 200, pendingMs: 0, processingMs: 20, parts: 1 }
      const submits = [{ nth: 1, job: { ...submitted, outcome: "failed" as const } }]
      const there = yield* world({ submitted, submits, usageDelayMs: 0 })
      const people = Array.from({ length: 301 }, (_, at) => `person${at}@acme.example`)
      writeFileSync(join(there.folder, "list.txt"), people.join("\n"))
      const command =
        "run person identify --as emails --input list.txt -o out.jsonl --yes --max-active 1".split(" ")
      expect((yield* there.run([...command, "--max-credits", "301"])).code).toBe(4)
      const again = yield* there.run([...command, "--retry-failed", "--max-credits", "600"])
      expect(`${again.code} ${again.stderr}`).toMatch(/^2 .*601 credits.*600 are allowed/su)
      expect(yield* jobsOf(there)).toHaveLength(2)
      const retried = yield* there.run([...command, "--retry-failed", "--max-credits", "601"])
      expect(`${retried.code} ${retried.stderr}`).toMatch(/^0/u)
      expect(yield* jobsOf(there)).toHaveLength(3)
    })
)
