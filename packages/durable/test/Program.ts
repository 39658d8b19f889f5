/**
 * For tests: a service as a process of its own. It takes retrievals from its standard input, a JSON object a line, or lists
 * of addresses to be identified, and confirms each on its standard output.
 */
import { NodeContext } from "@effect/platform-node"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import * as Network from "@org/batch-node/Network"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { createInterface } from "node:readline"
import * as Account from "../src/Account.js"
import * as Campaigns from "../src/Campaigns.js"
import * as Embedded from "../src/Embedded.js"
import * as Postgres from "../src/Postgres.js"
import * as Reach from "../src/Reach.js"
import { Request } from "../src/Retrieval.js"
import * as Retrievals from "../src/Retrievals.js"
import * as Settings from "../src/Settings.js"
import * as Worker from "../src/Worker.js"

const { BATCH_TEST_ROLE = "all", BATCH_TEST_STORE = "", BATCH_TEST_FOLDER = "" } = process.env
const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)

const store = Postgres.isAddress(BATCH_TEST_STORE)
  ? Postgres.layer(Redacted.make(BATCH_TEST_STORE))
  : Embedded.layer(BATCH_TEST_STORE)

const settings = Settings.layer({
  folder: BATCH_TEST_FOLDER,
  reach: Reach.anywhere,
  slots: number("BATCH_TEST_SLOTS", 20),
  slotsPerAccount: number("BATCH_TEST_SLOTS_PER_ACCOUNT", 100),
  requestsAMinute: number("BATCH_TEST_REQUESTS_A_MINUTE", 60_000)
})

const config = BatchConfig.layerConfig()

/** A list to be taken in, an address a line; or a campaign to go on with. */
const List = Schema.Struct({ list: Schema.String, name: Schema.String, max_active: Schema.Int })
const Again = Schema.Struct({ retry: Schema.String })
const Line = Schema.parseJson(Schema.Union(Request, List, Again))

const say = (line: object) => Effect.sync(() => process.stdout.write(`${JSON.stringify(line)}\n`))

const lines = Effect.gen(function* () {
  const retrievals = yield* Retrievals.Retrievals
  const campaigns = yield* Campaigns.Campaigns
  const handIn = ({ list, max_active: maxActive, name }: typeof List.Type) =>
    Effect.gen(function* () {
      const received = yield* campaigns.receive(name, Stream.make(new TextEncoder().encode(list)))
      const input = { name, format: "lines" } as const
      const request = { kind: "person/identify", as: "emails", input, maxActive, maxCredits: 1_000_000 }
      const { campaign, created } = yield* campaigns.begin(Account.ofService, request, received)
      return { id: campaign.campaignId, created }
    }).pipe(Effect.scoped)
  yield* say({ ready: true })
  const answer = (request: typeof Line.Type) =>
    Effect.gen(function* () {
      if ("list" in request) return yield* handIn(request)
      if ("retry" in request) {
        const { campaignId } = yield* campaigns.retry(Account.ofService, request.retry)
        return { id: campaignId, created: false }
      }
      const { created, retrieval } = yield* retrievals.enqueue(Account.ofService, request)
      return { id: retrieval.retrievalId, created }
    })
  const take = (line: string) =>
    Schema.decode(Line)(line).pipe(
      Effect.flatMap(answer),
      Effect.flatMap(say),
      Effect.catchAll((error) => say({ error: error._tag, message: error.message }))
    )
  yield* Effect.async<never>(() => {
    createInterface({ input: process.stdin })
      .on("line", (line) => Effect.runFork(take(line)))
      // Whoever started it is gone.
      .on("close", () => process.exit(1))
  })
})

const service = (BATCH_TEST_ROLE === "api" ? Layer.empty : Worker.layer).pipe(
  Layer.provideMerge(Layer.merge(Retrievals.layer, Campaigns.layer)),
  Layer.provide(Account.layer),
  Layer.provide(settings),
  Layer.provide(store),
  Layer.provide(Network.layerDirect),
  Layer.provide(config),
  Layer.provide(NodeContext.layer)
)

const fiber = Effect.runFork(
  lines.pipe(
    Effect.provide(service),
    Effect.catchAll((error) =>
      Effect.zipRight(
        say({ error: error._tag }),
        Effect.sync(() => process.exit(9))
      )
    )
  )
)

process.once("SIGTERM", () => {
  fiber.addObserver(() => process.exit(143))
  Effect.runFork(fiber.interruptAsFork(fiber.id()))
})
