import { it } from "@effect/vitest"
import { Sandbox } from "@org/batch-node/Sandbox"
import { Duration, Effect, Either, Option } from "effect"
import { createServer, type IncomingHttpHeaders } from "node:http"
import { expect } from "vitest"
import * as Account from "../src/Account.js"
import * as Notification from "../src/Notification.js"
import * as Reach from "../src/Reach.js"
import * as Retrievals from "../src/Retrievals.js"
import * as Signature from "../src/Signature.js"
import { Store } from "../src/Store.js"
import * as Stack from "./Stack.js"

const secret = Either.getOrThrow(Signature.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))

interface Call {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A listener of a caller's: what it is called with, and what it answers, by path. */
const listener = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly calls: ReadonlyArray<Call>; readonly close: () => void }>(
    (resume) => {
      const calls: Array<Call> = []
      const server = createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          const body = Buffer.concat(chunks).toString()
          calls.push({ url: request.url ?? "", headers: request.headers, body })
          const earlier = calls.filter(({ url }) => url === request.url).length
          response.statusCode =
            request.url === "/flaky" && earlier < 2 ? 503 : request.url === "/never" ? 302 : 204
          response.setHeader("location", "/elsewhere")
          response.end()
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        const close = () => void server.close()
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, calls, close }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

it("waits as promised: seconds, minutes, then hourly for a day", () => {
  const seconds = Notification.schedule.map(Duration.toSeconds)
  expect(seconds.slice(0, 6)).toEqual([5, 30, 120, 600, 1800, 3600])
  const all = seconds.reduce((sum, pause) => sum + pause, 0)
  expect(all).toBeGreaterThan(23 * 3600)
  expect(all).toBeLessThan(25 * 3600)
})

it.scopedLive("tells of each end once, signed, until it is settled; gives up, and can be redriven", () =>
  Effect.gen(function* () {
    const folder = yield* Stack.emptyFolder
    const { calls, url } = yield* listener
    const settings = { webhookSecret: Option.some(secret) }
    yield* Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const store = yield* Store
      const retrievals = yield* Retrievals.Retrievals
      const until = (fits: () => boolean) => Stack.eventually(Effect.sync(fits), (is) => is)
      const id = yield* sandbox.createJob({ records: 5 })
      const notify = { url: `${url}/fine?token=secret` }

      const { retrieval } = yield* Stack.handOver(id, "one.jsonl", { notify })
      expect((yield* Effect.flip(Stack.handOver(id, "one.jsonl")))._tag).toBe("RetrievalConflict")
      expect((yield* Stack.handOver(id, "one.jsonl", { notify })).created).toBe(false)
      yield* until(() => calls.length === 1)
      const [call] = calls
      const body = JSON.parse(call?.body ?? "")
      expect(body).toMatchObject({
        retrieval_id: retrieval.retrievalId,
        state: "done",
        progress: { records: 5 }
      })
      const sent = call?.headers ?? {}
      const message = {
        id: String(sent["webhook-id"]),
        timestamp: Number(sent["webhook-timestamp"]),
        body: call?.body ?? ""
      }
      expect(sent).toMatchObject(Signature.headers(secret, message))

      // cancelled is not told; failed is, and again until it is settled
      const slow = yield* sandbox.createJob({ processingMs: 3_600_000 })
      const stopped = yield* Stack.handOver(slow, "slow.jsonl", { notify: { url: `${url}/cancelled` } })
      yield* retrievals.cancel(Account.ofService, stopped.retrieval.retrievalId)
      yield* Stack.handOver(yield* Stack.otherId, "no.jsonl", { notify: { url: `${url}/flaky` } })
      yield* until(() => calls.filter((one) => one.url === "/flaky").length === 1)
      yield* store.query("UPDATE batch.notification SET next_at = clock_timestamp() WHERE state = 'pending'")
      yield* until(() => calls.filter((one) => one.url === "/flaky").length === 2)
      const flaky = calls.filter((one) => one.url === "/flaky")
      expect(new Set(flaky.map(({ headers }) => headers["webhook-id"])).size).toBe(1)
      expect(JSON.parse(flaky[1]?.body ?? "")).toMatchObject({
        state: "failed",
        error: { type: "BatchNotFound" }
      })

      // a redirect settles nothing and is not followed; the last call is the last
      yield* Stack.handOver(id, "two.jsonl", { notify: { url: `${url}/never` } })
      yield* until(() => calls.some((one) => one.url === "/never"))
      const last = Notification.schedule.length
      yield* store.query(
        "UPDATE batch.notification SET next_at = clock_timestamp(), attempts = $1 WHERE url LIKE '%/never'",
        [last]
      )
      const letters = yield* Stack.eventually(
        Notification.deadLetters(Account.ofService),
        (dead) => dead.length > 0
      )
      expect(letters).toMatchObject([{ attempts: last + 1, detail: "HTTP 302" }])
      expect((yield* retrievals.figures).notifications.dead).toBe(1)
      const before = calls.length
      expect(yield* Notification.redrive("another", letters[0]?.id ?? "")).toBe(false)
      expect(yield* Notification.redrive(Account.ofService, letters[0]?.id ?? "")).toBe(true)
      yield* until(() => calls.length > before)
      expect(calls.map((one) => one.url)).not.toContain("/elsewhere")
      expect(calls.map((one) => one.url)).not.toContain("/cancelled")
      expect(calls.filter((one) => one.url.startsWith("/fine")).length).toBe(1)
    }).pipe(Effect.provide(Stack.layer(folder, { settings })))
  })
)

it.scopedLive("calls nobody who is not on an address that is allowed", () =>
  Effect.gen(function* () {
    const folder = yield* Stack.emptyFolder
    const { calls, url } = yield* listener
    const settings = { webhookSecret: Option.some(secret), reach: Reach.publicOnly }
    yield* Effect.gen(function* () {
      const sandbox = yield* Sandbox
      const store = yield* Store
      const id = yield* sandbox.createJob({ records: 5 })
      expect(yield* Effect.flip(Stack.handOver(id, "one", { notify: { url } }))).toMatchObject({
        field: "notify.url"
      })
      // a name that led elsewhere when it was handed over
      const { retrieval } = yield* Stack.handOver(id, "two", { notify: { url: "http://192.0.2.1/" } })
      yield* store.query("UPDATE batch.retrieval SET notify_url = $1", [
        url.replace("127.0.0.1", "localhost")
      ])
      yield* Stack.ended(retrieval.retrievalId)
      const [call] = yield* Stack.eventually(
        store.query("SELECT detail FROM batch.notification WHERE detail <> ''"),
        (rows) => rows.length > 0
      )
      expect(call?.["detail"]).toContain("not a public address")
      expect(calls).toEqual([])
    }).pipe(Effect.provide(Stack.layer(folder, { settings })))
  })
)
