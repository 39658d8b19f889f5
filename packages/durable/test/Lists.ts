/** For tests: lists that become campaigns, and what must have come of them, whoever was killed meanwhile. */
import type { Sandbox } from "@org/batch-node/Sandbox"
import { Report } from "@org/batch-core/Report"
import { Effect, Schema } from "effect"
import { readFile } from "node:fs/promises"
import { gunzipSync } from "node:zlib"
import { expect } from "vitest"

/** Identifiers of a job of the kind `person/identify`. */
export const cap = 300

/** A list of so many addresses, of which one in fifty means the same as the one before. */
export const list = (name: string, count: number): string =>
  Array.from({ length: count }, (_, at) => `person${at % 50 === 49 ? at - 1 : at}@${name}.example`).join("\n")

/** How many of them differ. */
export const unique = (count: number): number => count - Math.floor(count / 50)

/** What the sandbox is to do with jobs that are submitted to it. */
export const sandbox = {
  rateLimit: { limit: 1_000_000, windowSeconds: 60 },
  usageDelayMs: 0,
  submitted: { recordBytes: 200, parts: 1, pendingMs: 0, processingMs: 500 }
}

const Listed = Schema.parseJson(
  Schema.Struct({
    jobs: Schema.Array(
      Schema.Struct({ batch_id: Schema.String, status: Schema.String, identifier_count: Schema.Number })
    ),
    next_cursor: Schema.optional(Schema.NullOr(Schema.String))
  })
)

/** The jobs that the API knows of. */
export const jobs = (sandbox: Sandbox["Type"]) =>
  Effect.promise(async () => {
    const all: Array<(typeof Listed.Type)["jobs"][number]> = []
    for (let cursor = ""; ;) {
      const answer = await fetch(`${sandbox.baseUrl}/batch?limit=100${cursor}`, {
        headers: { authorization: `Bearer ${sandbox.apiKey}` }
      })
      const page = Schema.decodeSync(Listed)(await answer.text())
      all.push(...page.jobs)
      if (page.next_cursor == null) return all
      cursor = `&cursor=${page.next_cursor}`
    }
  })

const Accepted = Schema.parseJson(Schema.Struct({ batch_id: Schema.String }))

/** Starts a job by itself, and gives its id. */
export const submit = (sandbox: Sandbox["Type"]): Effect.Effect<string> =>
  Effect.promise(async () => {
    const answer = await fetch(`${sandbox.baseUrl}/batch/person/identify`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${sandbox.apiKey}`,
        "content-type": "application/json",
        "x-api-version": "2025-11-01"
      },
      body: JSON.stringify({ emails: ["somebody@elsewhere.example"] })
    })
    return Schema.decodeSync(Accepted)(await answer.text()).batch_id
  })

/** A campaign at its end, as its row says. */
export interface Ended {
  readonly id: string
  readonly count: number
  readonly report: unknown
}

const decode = Schema.decodeUnknown(Report)

/** Checks that no chunk was submitted twice, no job forgotten, every row has its fate, and every result is whole. */
export const check = (
  sandbox: Sandbox["Type"],
  folder: string,
  ended: ReadonlyArray<Ended>,
  others: ReadonlyArray<string> = []
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const known = yield* jobs(sandbox)
    const told = [...others]
    for (const { count, id, report: encoded } of ended) {
      const report = yield* decode(encoded)
      told.push(...report.jobs.map(({ batch_id: batchId }) => batchId))
      expect(report).toMatchObject({
        rows: count,
        unique: unique(count),
        records: unique(count),
        fates: { matched: unique(count), duplicate: count - unique(count), failed: 0, undecided: 0 },
        complete: true
      })
      expect(report.jobs).toHaveLength(Math.ceil(unique(count) / cap))
      const bytes = yield* Effect.promise(() => readFile(`${folder}/.campaigns/${id}/result.jsonl.gz`))
      const rows = gunzipSync(bytes).toString().trim().split("\n")
      expect([rows.length, new Set(rows).size]).toEqual([unique(count), unique(count)])
    }
    expect(told.toSorted()).toEqual(known.map(({ batch_id: id }) => id).toSorted())
  }).pipe(Effect.orDie)

/** How often the API refused a submit, for lack of a place or for another reason. */
export const refusals = (sandbox: Sandbox["Type"]): Effect.Effect<number> =>
  Effect.map(
    sandbox.requests,
    (all) => all.filter(({ method, status }) => method === "POST" && (status ?? 0) >= 400).length
  )
