import { describe, expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Deferred, Effect, Layer, Option, Stream } from "effect"
import * as Account from "../src/Account.js"
import * as CampaignChunk from "../src/CampaignChunk.js"
import * as CampaignRun from "../src/CampaignRun.js"
import * as Campaigns from "../src/Campaigns.js"
import * as ChunkRun from "../src/ChunkRun.js"
import * as Downloads from "../src/Downloads.js"
import { sessions } from "../src/Gate.js"
import * as Queue from "../src/Queue.js"
import { Settings } from "../src/Settings.js"
import * as Shift from "../src/Shift.js"
import { campaigns, chunks, downloads, Store } from "../src/Store.js"
import * as Lists from "./Lists.js"
import * as Stack from "./Stack.js"

/** The next job of a queue. */
const fetched = (queue: string) =>
  Effect.gen(function* () {
    const store = yield* Store
    const [job] = yield* store.engine((boss) => boss.fetch<Queue.Job>(queue, { includeMetadata: true }))
    return job ?? (yield* Effect.dieMessage(`nothing on the queue ${queue}`))
  })

/** Takes the jobs of a queue away from whoever has them, as the engine does after ten seconds of silence. */
const takeAway = (queue: string) =>
  Effect.flatMap(Store, (store) =>
    store.query(
      "UPDATE batch_queue.job SET state = 'retry', start_after = now() - interval '1 second' WHERE name = $1 AND state = 'active'",
      [queue]
    )
  )

/** A job that was taken away, and the same one as it was handed out again. */
const handedOutTwice = (queue: string) =>
  Effect.gen(function* () {
    const stale = yield* fetched(queue)
    yield* takeAway(queue)
    return { stale, current: yield* fetched(queue) }
  })

/** The jobs of a queue that are not at their end. */
const jobs = (queue: string) =>
  Effect.flatMap(Store, (store) =>
    store.query(
      "SELECT state, retry_count AS attempt FROM batch_queue.job WHERE name = $1 AND state < 'completed'",
      [queue]
    )
  )

const handedOutOnce = [{ state: "active", attempt: 1 }]

/** What claims a job of a queue, as a worker does. */
const running = (job: Queue.Fetched) =>
  Effect.gen(function* () {
    const lost = yield* Deferred.make<void>()
    return { store: yield* Store, settings: yield* Settings, sessions: yield* sessions, job, lost }
  })

/** The fence of the only row of a table. */
const fenceOf = (table: string) =>
  Effect.flatMap(Store, (store) =>
    Effect.map(store.query(`SELECT fence::int AS fence FROM batch.${table}`), ([row]) => row?.["fence"])
  )

/** A campaign that waits for its first step. */
const campaign = Effect.gen(function* () {
  const { begin, receive } = yield* Campaigns.Campaigns
  const received = yield* receive("people.txt", Stream.make(new TextEncoder().encode("a@acme.example")))
  const input = { name: "people.txt", format: "lines" } as const
  const request = { kind: "person/identify", as: "emails", input, maxCredits: 10 }
  return (yield* begin(Account.ofService, request, received)).campaign.campaignId
}).pipe(Effect.scoped)

describe("a job that was taken from a worker which could not reach the store", () => {
  it.scopedLive("is claimed by whoever has it now, and by nobody else", () =>
    Effect.gen(function* () {
      const folder = yield* Stack.emptyFolder
      yield* Effect.gen(function* () {
        const store = yield* Store
        const sandbox = yield* Sandbox

        // a download
        const { retrieval } = yield* Stack.handOver(yield* sandbox.createJob({ records: 1 }), "rows.jsonl.gz")
        yield* store.query("UPDATE batch.retrieval SET next_look_at = NULL")
        yield* store.transaction((sql, boss) =>
          Queue.send(sql, boss, Account.ofService, [retrieval.retrievalId])
        )
        const download = yield* handedOutTwice(downloads)
        expect(yield* Downloads.claim(store, download.current, 5)).toMatchObject({
          value: { retrieval: { state: "running" }, fence: 1 }
        })
        expect(yield* Downloads.claim(store, download.stale, 5)).toEqual(Option.none())
        expect(yield* fenceOf("retrieval")).toBe(1)
        expect(yield* jobs(downloads)).toEqual(handedOutOnce)

        // a chunk of a campaign
        const campaignId = yield* campaign
        const standing = { state: "completed", batchId: yield* Stack.otherId, records: 0 } as const
        yield* store.transaction((sql, boss) =>
          CampaignChunk.put(sql, boss, { campaignId, account: Account.ofService }, 0, standing)
        )
        const chunk = yield* handedOutTwice(chunks)
        yield* ChunkRun.run(yield* running(chunk.stale), new Map())
        expect(yield* fenceOf("campaign_chunk")).toBe(0)
        expect(yield* jobs(chunks)).toEqual(handedOutOnce)

        // a campaign
        const step = yield* handedOutTwice(campaigns)
        yield* CampaignRun.run(yield* running(step.stale), new Map())
        expect(yield* fenceOf("campaign")).toBe(0)
        expect(yield* jobs(campaigns)).toEqual(handedOutOnce)
        expect(yield* Lists.jobs(sandbox)).toHaveLength(1)
      }).pipe(
        Effect.provide(
          Layer.provideMerge(Campaigns.layer, Stack.withoutWorker(folder, { sandbox: Lists.sandbox }))
        )
      )
    })
  )

  it.scopedLive(
    "is kept alive where it comes to the same worker again, whenever what was done for it before ends",
    () =>
      Effect.gen(function* () {
        const folder = yield* Stack.emptyFolder
        yield* Effect.gen(function* () {
          const store = yield* Store
          const over = yield* Deferred.make<void>()
          const begun: Array<number> = []
          const round = yield* Shift.make(store, {
            queue: downloads,
            places: Shift.places(2),
            slotsPerAccount: 2,
            execute: ({ retryCount }) =>
              Effect.zipRight(
                Effect.sync(() => begun.push(retryCount)),
                retryCount === 0 ? Deferred.await(over) : Effect.never
              )
          })
          yield* store.transaction((sql, boss) =>
            Queue.send(sql, boss, Account.ofService, ["01234567-89ab-4cde-8f01-23456789abcd"])
          )
          expect(yield* round).toBe(1)
          yield* takeAway(downloads)
          expect(yield* round).toBe(1)
          yield* Stack.eventually(
            Effect.sync(() => begun),
            ({ length }) => length === 2
          )
          yield* Deferred.succeed(over, undefined)
          const [last] = yield* store.query("SELECT clock_timestamp()::text AS heartbeat")
          const alive = store.query(
            "SELECT 1 FROM batch_queue.job WHERE state = 'active' AND heartbeat_on > $1::timestamptz",
            [last?.["heartbeat"]]
          )
          yield* Stack.eventually(alive, ({ length }) => length === 1)
        }).pipe(Effect.scoped, Effect.provide(Stack.withoutWorker(folder)))
      })
  )
})
