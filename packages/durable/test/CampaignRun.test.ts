import { describe, expect, it } from "@effect/vitest"
import { BatchId } from "@org/batch-core/Batch"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Effect, Fiber, Layer, Schema, Stream } from "effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Account from "../src/Account.js"
import * as Campaigns from "../src/Campaigns.js"
import * as Retrievals from "../src/Retrievals.js"
import { Store } from "../src/Store.js"
import * as Worker from "../src/Worker.js"
import * as Lists from "./Lists.js"
import * as Stack from "./Stack.js"

const handIn = (name: string, count: number) =>
  Effect.gen(function* () {
    const campaigns = yield* Campaigns.Campaigns
    const bytes = Stream.make(new TextEncoder().encode(Lists.list(name, count)))
    const received = yield* campaigns.receive(name, bytes)
    const input = { name, format: "lines" } as const
    const request = { kind: "person/identify", as: "emails", input, maxCredits: 10_000 }
    const { campaign } = yield* campaigns.begin(Account.ofService, request, received)
    return { id: campaign.campaignId, count }
  }).pipe(Effect.scoped)

/** The chunks of all campaigns, by where they stand. */
const standing = (...states: ReadonlyArray<string>) =>
  Effect.flatMap(Store, (store) =>
    Effect.map(
      store.query(
        "SELECT campaign_id, batch_id FROM batch.campaign_chunk WHERE state = ANY($1::text[]) ORDER BY campaign_id, chunk",
        [states]
      ),
      (rows) => rows.map((row) => String(row["batch_id"]))
    )
  )

/** Jobs that a worker holds of the engine. */
const held = Effect.flatMap(Store, (store) =>
  store.query("SELECT id FROM batch_queue.job WHERE state = 'active'")
)

/** Ends a job, and has it looked at. */
const complete = (id: string) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox
    yield* sandbox.job(id).complete
    yield* Effect.flatMap(Retrievals.Retrievals, ({ hint }) =>
      Effect.flatMap(Schema.decode(BatchId)(id), hint)
    )
  })

describe("campaigns of one account", () => {
  it.scopedLive("share its five jobs, hold nothing while these run, and go on where a worker has ended", () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      yield* Effect.gen(function* () {
        const sandbox = yield* Sandbox
        const campaigns = yield* Campaigns.Campaigns
        // a job of somebody else's has one of the places, and the answer to one submit is lost, whose job runs all the same
        const foreign = yield* Lists.submit(sandbox)
        yield* campaigns.submitted(Account.ofService, yield* Schema.decode(BatchId)(foreign))
        yield* sandbox.script({
          on: { server: "api", method: "POST", nth: 2 },
          do: { drop: { by: "reset" } }
        })
        const lists = [yield* handIn("one", 900), yield* handIn("two", 900)]
        const first = yield* Effect.forkScoped(Layer.launch(Worker.layer))
        yield* Stack.eventually(standing("waiting"), (ids) => ids.length === 4)
        yield* Stack.eventually(held, (jobs) => jobs.length === 0)
        expect(yield* Lists.jobs(sandbox)).toHaveLength(5)
        expect(yield* standing("completed", "kept", "failed", "undecided")).toEqual([])
        const { progress } = yield* campaigns.get(Account.ofService, lists[0]?.id ?? "")
        expect(progress).toMatchObject({ rows: 900, unique: 882, jobs: { total: 3 }, notice: null })

        // a worker that ends leaves all as it is; a place that is free is taken, whoever had it
        yield* Fiber.interrupt(first)
        expect(yield* Lists.jobs(sandbox)).toHaveLength(5)
        yield* complete(foreign)
        yield* Effect.forkScoped(Layer.launch(Worker.layer))
        yield* Stack.eventually(standing("waiting"), (ids) => ids.length === 5)
        // what a process has left that ended before it could say what it is, is fetched again
        const [one = ""] = yield* standing("waiting")
        const [of] = yield* Effect.flatMap(Store, (store) =>
          store.query("SELECT campaign_id FROM batch.campaign_chunk WHERE batch_id = $1", [one])
        )
        const results = join(folder, "out", ".campaigns", String(of?.["campaign_id"]), "results")
        yield* Effect.promise(() => writeFile(join(results, `${one}.jsonl.gz`), "half"))
        yield* complete(one)
        yield* Stack.eventually(standing("kept", "waiting"), (ids) => ids.length === 6)
        expect(yield* standing("kept")).toEqual([one])
        yield* Effect.forEach(yield* standing("waiting"), complete)
        const ended = yield* Effect.forEach(lists, ({ count, id }) =>
          Effect.map(
            Stack.eventually(campaigns.get(Account.ofService, id), ({ report }) => report !== null),
            ({ progress: told, report }) => {
              expect(told).toMatchObject({
                records: 882,
                jobs: { total: 3, fetched: 3, waiting: 0, running: 0, completed: 0, failed: 0, undecided: 0 }
              })
              return { id, count, report }
            }
          )
        )
        yield* Lists.check(sandbox, join(folder, "out"), ended, [foreign])
        expect(yield* Lists.refusals(sandbox)).toBe(0)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(
            Campaigns.layer,
            Stack.withoutWorker(folder, {
              sandbox: {
                ...Lists.sandbox,
                submitted: { ...Lists.sandbox.submitted, processingMs: 3_600_000 }
              },
              settings: { requestsAMinute: 60_000 }
            })
          )
        )
      )
    })
  )
})
