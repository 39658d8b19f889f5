/** A sandbox in a process of its own. */
import { Sandbox } from "@org/batch-sandbox"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const { apiKey, baseUrl } = yield* Sandbox.start({ rateLimit: { limit: 1_000_000, windowSeconds: 1 } })
  console.log(`CRUSTDATA_BASE_URL=${baseUrl} CRUSTDATA_API_KEY=${apiKey}`)
  yield* Effect.never
}).pipe(Effect.scoped)

const fiber = Effect.runFork(program)
process.once("SIGTERM", () => fiber.unsafeInterruptAsFork(fiber.id()))
