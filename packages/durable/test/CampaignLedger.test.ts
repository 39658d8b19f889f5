import { describe, expect, it } from "@effect/vitest"
import { NodeContext } from "@effect/platform-node"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { BatchId } from "@org/batch-core/Batch"
import type { Entry } from "@org/batch-core/Ledger"
import * as Sandboxes from "@org/batch-node/Sandbox"
import { DateTime, Effect, Either, Fiber, Layer, Option, Redacted, Schema, Stream } from "effect"
import { join } from "node:path"
import * as Account from "../src/Account.js"
import * as CampaignLedger from "../src/CampaignLedger.js"
import * as Campaigns from "../src/Campaigns.js"
import * as Embedded from "../src/Embedded.js"
import * as Postgres from "../src/Postgres.js"
import type { StoreRefused } from "../src/RetrievalError.js"
import * as Settings from "../src/Settings.js"
import { Store } from "../src/Store.js"
import * as Worker from "../src/Worker.js"
import * as LocalPostgres from "./LocalPostgres.js"
import { emptyFolder, eventually } from "./Stack.js"

const stack = (folder: string, store: Layer.Layer<Store, StoreRefused>) =>
  Campaigns.layer.pipe(
    Layer.provideMerge(store),
    Layer.provideMerge(Settings.layer({ folder: join(folder, "out"), requestsAMinute: 6000 })),
    Layer.provideMerge(NodeContext.layer)
  )

const handIn = (text: string, more: Partial<Campaigns.Request> = {}) =>
  Effect.gen(function* () {
    const campaigns = yield* Campaigns.Campaigns
    const received = yield* campaigns.receive("people.txt", Stream.make(new TextEncoder().encode(text)))
    const input = { name: "people.txt", format: "lines" } as const
    return yield* campaigns.begin(
      Account.ofService,
      { kind: "person/identify", as: "emails", input, ...more },
      received
    )
  }).pipe(Effect.scoped)

/** Claims a campaign as a worker does. */
const claim = (campaignId: string) =>
  Effect.gen(function* () {
    const store = yield* Store
    const [row] = yield* store.query(
      "UPDATE batch.campaign SET fence = fence + 1 WHERE id = $1 RETURNING fence::int AS fence",
      [campaignId]
    )
    return {
      campaignId,
      account: Account.ofService,
      fence: Number(row?.["fence"]),
      folder: "/somewhere"
    }
  })

const nobody = "00000000-0000-4000-8000-000000000000"

const at = DateTime.unsafeMake("2026-01-01T00:00:00Z")

const sending = (chunk: number): Entry => ({ _tag: "sending", chunk, at })

const write = (campaignId: string, place: number, entry: string) =>
  Effect.flatMap(Store, (store) =>
    store.query(
      "INSERT INTO batch.campaign_entry (campaign_id, place, fence, entry) VALUES ($1, $2, 0, $3)",
      [campaignId, place, entry]
    )
  )

/** A worker that does not see the folder of a campaign leaves it to one that does. */
const elsewhere = (url: string) =>
  Effect.gen(function* () {
    const [here, there] = [yield* emptyFolder, yield* emptyFolder]
    yield* Effect.gen(function* () {
      const campaigns = yield* Campaigns.Campaigns
      const store = yield* Store
      yield* store.query("DELETE FROM batch.campaign")
      const elsewhere = Settings.layer({ folder: join(there, "out"), requestsAMinute: 6000 })
      const blind = yield* Effect.forkScoped(Layer.launch(Layer.provide(Worker.layer, elsewhere)))
      const { campaign } = yield* handIn("c@acme.example\nd@acme.example\n", { maxCredits: 2 })
      const now = campaigns.get(Account.ofService, campaign.campaignId)
      const postponed = store.query(
        "SELECT 1 FROM batch_queue.job WHERE name = 'campaign' AND start_after > now() + interval '2 seconds'"
      )
      yield* eventually(postponed, (rows) => rows.length > 0)
      expect((yield* now).state).toBe("waiting")
      yield* Fiber.interrupt(blind)
      yield* Effect.forkScoped(Layer.launch(Worker.layer))
      const done = yield* eventually(now, ({ state }) => state !== "waiting" && state !== "running")
      expect(done).toMatchObject({ state: "done", report: { rows: 2, complete: true } })

      // what a finished campaign left undecided is settled by a retry, and not sent again
      const id = campaign.campaignId
      const rows = yield* store.query(
        "DELETE FROM batch.campaign_entry WHERE campaign_id = $1 RETURNING place, entry",
        [id]
      )
      const [plan = "", sent = ""] = rows
        .toSorted((one, other) => Number(one["place"]) - Number(other["place"]))
        .map(({ entry }) => String(entry))
      const lost = [plan, sent, '{"_tag":"undecided","chunk":0,"at":"2026-01-01T00:00:00Z","detail":"503"}']
      const left = [
        ...lost,
        ...["publishing", "finished"].map((tag) => `{"_tag":"${tag}","at":"2026-01-01T00:00:00Z"}`)
      ]
      yield* Effect.forEach(left, (line, place) => write(id, place + 1, line))
      yield* store.query("UPDATE batch.campaign SET report = jsonb_set(report, '{complete}', 'false')")
      expect((yield* campaigns.retry(Account.ofService, id)).attempt).toBe(2)
      const settled = yield* eventually(campaigns.get(Account.ofService, id), ({ state }) => state === "done")
      expect(settled.report).toMatchObject({ complete: true, fates: { undecided: 0 } })
      const adopted = yield* store.query(
        "SELECT entry FROM batch.campaign_entry WHERE campaign_id = $1 AND batch_id IS NOT NULL",
        [id]
      )
      expect(adopted.map(({ entry }) => JSON.parse(String(entry)))).toEqual([
        expect.objectContaining({ _tag: "sent", adopted: true, batch_id: done.report?.jobs[0]?.batch_id })
      ])
    }).pipe(
      Effect.provide(
        Account.layer.pipe(
          Layer.provideMerge(stack(here, Postgres.layer(Redacted.make(url)))),
          Layer.provideMerge(
            Sandboxes.layer({ submitted: { pendingMs: 0, processingMs: 0 }, usageDelayMs: 0 })
          )
        )
      )
    )
  })

/** Everything about a ledger, on either store. */
const story = Effect.gen(function* () {
  const store = yield* Store
  const begun = yield* handIn("a@acme.example\nb@acme.example\n")
  expect(begun.created).toBe(true)
  const { campaignId } = begun.campaign
  const first = CampaignLedger.open(store, yield* claim(campaignId))
  const [what, ...none] = yield* first.read
  expect([what, none]).toEqual([
    expect.objectContaining({
      _tag: "campaign",
      campaign: campaignId,
      kind: "person/identify",
      property: "emails",
      output: "/somewhere/result.jsonl.gz"
    }),
    []
  ])

  // entries stand in the order in which they came, whoever came first
  yield* Effect.all([sending(0), sending(1), sending(2)].map(first.append), { concurrency: 3 })
  const batchId = yield* Schema.decode(BatchId)("01234567-89AB-4CDE-8F01-23456789ABCD")
  yield* first.append({ _tag: "sent", chunk: 1, at, batch_id: batchId })
  const entries = yield* first.read
  expect(entries.slice(1).map((entry) => ("chunk" in entry ? entry.chunk : -1))).toEqual([0, 1, 2, 1])

  // whoever claims it next reads the same, and the one before can add nothing
  const second = CampaignLedger.open(store, yield* claim(campaignId))
  expect(yield* second.read).toEqual(entries)
  const late = yield* Effect.either(first.append(sending(3)))
  expect(Either.getLeft(late)).toMatchObject(
    Option.some({
      _tag: "StorageError",
      reason: "Exists",
      detail: "another process runs this campaign"
    })
  )
  yield* second.append(sending(3))
  expect(yield* second.read).toHaveLength(6)

  // an entry whose writing was interrupted is found, and not written over
  for (const chunk of [4, 5, 6, 7]) {
    const fiber = yield* Effect.fork(second.append(sending(chunk)))
    yield* Effect.yieldNow()
    yield* Fiber.interrupt(fiber)
  }
  yield* second.append(sending(8))
  const third = CampaignLedger.open(store, yield* claim(campaignId))
  expect(yield* third.read).toEqual(yield* second.read)
  expect((yield* third.read).at(-1)).toEqual(sending(8))

  // what it claims is claimed before other campaigns of the account, and before no other account's
  expect([...(yield* CampaignLedger.claimed(store, Account.ofService, nobody))]).toEqual([
    batchId.toLowerCase()
  ])
  expect([...(yield* CampaignLedger.claimed(store, Account.ofService, campaignId))]).toEqual([])
  expect([...(yield* CampaignLedger.claimed(store, "other", nobody))]).toEqual([])

  // the same list is the same campaign; what was cut short, or is of another version, is not read over
  expect((yield* handIn("a@acme.example\nb@acme.example\n")).created).toBe(false)
  const cut = (yield* handIn("a@acme.example\n", { name: "cut" })).campaign.campaignId
  yield* write(cut, 1, '{"_tag":"sending","chu')
  const foreign = (yield* handIn("a@acme.example\n", { name: "foreign" })).campaign.campaignId
  yield* store.query("UPDATE batch.campaign SET begun = jsonb_set(begun, '{version}', '2') WHERE id = $1", [
    foreign
  ])
  for (const [id, detail] of [
    [cut, "line 2 is no entry of a ledger, so nothing is done with it"],
    [foreign, "it was written by a newer version (2); use that one"]
  ] as const) {
    const opened = yield* Effect.either(
      Effect.flatMap(claim(id), (claimed) => CampaignLedger.open(store, claimed).read)
    )
    expect(Either.getLeft(opened)).toMatchObject(
      Option.some({ _tag: "StorageError", reason: "Unreadable", detail })
    )
  }
})

describe("a ledger is written by whoever has claimed the campaign last, and is read as it was written", () => {
  it.scopedLive("in the embedded store", () =>
    Effect.gen(function* () {
      const folder = yield* emptyFolder
      yield* Effect.provide(
        story,
        Layer.provideMerge(stack(folder, Embedded.layer(join(folder, "store"))), BatchConfig.layer({}))
      )
    })
  )

  it.scopedLive.skipIf(!LocalPostgres.isAvailable)(
    "on PostgreSQL, where another machine may not see its folder",
    () =>
      Effect.gen(function* () {
        const { url } = yield* LocalPostgres.make
        const folder = yield* emptyFolder
        yield* Effect.provide(
          story,
          Layer.provideMerge(stack(folder, Postgres.layer(Redacted.make(url))), BatchConfig.layer({}))
        )
        yield* elsewhere(url)
      })
  )
})
