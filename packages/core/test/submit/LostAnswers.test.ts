/** Submits whose answers are lost, over the network: what the sandbox has is what the settlement says. */
import { NodeContext, NodeHttpClient } from "@effect/platform-node"
import { expect, it } from "@effect/vitest"
import { Sandbox } from "@org/batch-sandbox"
import { Effect, Layer, Redacted, Ref, Stream } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"
import * as SubmitRequest from "../../src/model/SubmitRequest.js"
import * as BatchClient from "../../src/status/BatchClient.js"
import * as Settlement from "../../src/submit/Settlement.js"

it.scopedLive(
  "a job whose answer is lost is found and adopted, not the one beside it with as many inputs, and none is sent twice",
  () =>
    Effect.gen(function* () {
      const sandbox = yield* Sandbox.start({ usageDelayMs: 0, clock: { pendingMs: 0, processingMs: 60_000 } })
      const config = BatchConfig.layer({ baseUrl: sandbox.baseUrl, apiKey: Redacted.make(sandbox.apiKey) })
      const needs = BatchClient.layerOver(config).pipe(
        Layer.provide(NodeHttpClient.layer),
        Layer.provideMerge(NodeContext.layer)
      )
      yield* Effect.gen(function* () {
        const other = yield* SubmitRequest.make("company/enrich", { domains: ["other.com", "another.com"] })
        const request = yield* SubmitRequest.make("company/enrich", { domains: ["acme.com", "example.org"] })
        const on = { server: "api", method: "POST" } as const
        const answers = [
          { drop: { by: "reset" } },
          { drop: { by: "fin" } },
          { cut: { afterBytes: 5, by: "reset" } },
          { respond: { status: 502, body: "<html>" } }
        ] as const
        for (const answer of answers) {
          const beside = yield* BatchClient.submit(other)
          yield* sandbox.script({ on, do: answer })
          const lost = yield* Ref.make(0)
          const batch = yield* Settlement.submit(request, {
            onLost: () => Ref.update(lost, (times) => times + 1)
          })
          expect(yield* Ref.get(lost)).toBe(1)
          const posts = (yield* sandbox.requests).filter(({ method }) => method === "POST")
          const jobs = [...(yield* Stream.runCollect(BatchClient.list()))].map(({ batchId }) => batchId)
          expect(jobs).toHaveLength(posts.length)
          // Newest first: the lost one is the last that was made.
          expect(jobs.slice(0, 2)).toEqual([batch.batchId, beside.batchId])
          yield* Effect.forEach(jobs.slice(0, 2), (id) => sandbox.job(id).complete)
        }
        expect((yield* sandbox.faults).map(({ consumed }) => consumed)).toEqual(answers.map(() => 1))
      }).pipe(Effect.provide(needs))
    })
)
