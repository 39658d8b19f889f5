/**
 * For tests: a service as a process of its own. It takes retrievals from its standard input, a JSON object a line, and
 * confirms each on its standard output.
 */
import { NodeContext } from "@effect/platform-node"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import * as Network from "@org/batch-node/Network"
import { Effect, Layer, Redacted, Schema } from "effect"
import { createInterface } from "node:readline"
import * as Account from "../src/Account.js"
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

const say = (line: object) => Effect.sync(() => process.stdout.write(`${JSON.stringify(line)}\n`))

const lines = Effect.gen(function* () {
  const retrievals = yield* Retrievals.Retrievals
  yield* say({ ready: true })
  const take = (line: string) =>
    Schema.decode(Schema.parseJson(Request))(line).pipe(
      Effect.flatMap((request) => retrievals.enqueue(Account.ofService, request)),
      Effect.flatMap(({ created, retrieval }) => say({ id: retrieval.retrievalId, created })),
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
  Layer.provideMerge(Retrievals.layer),
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
