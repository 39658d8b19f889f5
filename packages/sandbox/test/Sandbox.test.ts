import { expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

const atOnce = { clock: { pendingMs: 0, processingMs: 0 } }

it.scoped("the same seed gives the same ids and bytes", () =>
  Effect.gen(function* () {
    const bytes = (seed: number) =>
      Effect.gen(function* () {
        const sandbox = yield* Sandbox.start({ ...atOnce, seed })
        const id = yield* sandbox.createJob({ records: 30, members: 2 })
        const { download_url = "" } = yield* Http.status(sandbox.baseUrl, id)
        return [id, (yield* Http.send(download_url)).body.toString("base64")]
      })
    expect(yield* bytes(3)).toEqual(yield* bytes(3))
    expect(yield* bytes(3)).not.toEqual(yield* bytes(4))
  })
)

it.scopedLive("closing the scope ends transfers, frees the ports and removes the folder", () =>
  Effect.gen(function* () {
    const parent = yield* temporary
    const scope = yield* Scope.make()
    const sandbox = yield* Scope.extend(Effect.zipRight(tmpdirIs(parent), Sandbox.start(atOnce)), scope)
    expect(readdirSync(parent)).toEqual([expect.stringMatching(/^batch-sandbox-/)])
    const id = yield* sandbox.createJob()
    const { download_url = "" } = yield* Http.status(sandbox.baseUrl, id)
    yield* sandbox.script({ on: { server: "storage" }, do: { stall: { afterBytes: 5 } } })
    const transfer = yield* Effect.fork(Http.send(download_url))
    yield* Effect.repeat(Effect.zipRight(Effect.sleep(5), sandbox.requests), {
      until: (requests) => requests.at(-1)?.bytesSent === 5
    })
    yield* Scope.close(scope, Exit.void)
    expect((yield* transfer).ended).toBe("ECONNRESET")
    expect((yield* Http.send(sandbox.baseUrl)).ended).toBe("ECONNREFUSED")
    expect((yield* Http.send(sandbox.storageUrl)).ended).toBe("ECONNREFUSED")
    expect(readdirSync(parent)).toEqual([])
  })
)

it.scoped("a folder of one's own is made and kept", () =>
  Effect.gen(function* () {
    const parent = yield* temporary
    const dataDir = join(parent, "below")
    yield* Effect.scoped(
      Effect.flatMap(Sandbox.start({ ...atOnce, dataDir }), ({ createJob }) => createJob())
    )
    expect(readdirSync(dataDir).length).toBe(1)
  })
)

it.scoped("a port that is taken is an error", () =>
  Effect.gen(function* () {
    const { baseUrl } = yield* Sandbox.start()
    const error = yield* Effect.flip(Sandbox.start({ port: Number(new URL(baseUrl).port) }))
    expect([error._tag, error.reason]).toEqual(["SandboxError", "Listen"])
  })
)

it.scoped("the API can be dead for a while", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start(atOnce)
    const id = yield* sandbox.createJob()
    yield* sandbox.pauseApi
    expect((yield* Http.send(`${sandbox.baseUrl}/batch`)).ended).toBe("ECONNREFUSED")
    yield* sandbox.resumeApi
    expect((yield* Http.status(sandbox.baseUrl, id)).status).toBe("completed")
  })
)

it.scoped("a job can be ended, one way or the other", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start(atOnce)
    const [first, second] = [
      yield* sandbox.createJob({ stuck: true }),
      yield* sandbox.createJob({ stuck: true })
    ]
    yield* sandbox.job(first).complete
    yield* sandbox.job(second).fail("out of memory")
    const completed = yield* Http.status(sandbox.baseUrl, first)
    expect(completed).toMatchObject({ status: "completed", result_count: 100 })
    expect((yield* Http.send(completed.download_url ?? "")).status).toBe(200)
    expect(yield* Http.status(sandbox.baseUrl, second)).toMatchObject({
      status: "failed",
      error_message: "out of memory"
    })
    const nobody = yield* Effect.flip(sandbox.job("01234567-89ab-4cde-8f01-23456789abcd").complete)
    expect(nobody.reason).toBe("UnknownJob")
    const noId = yield* Effect.flip(sandbox.job("nobody").complete)
    expect(noId.message).toBe("Invalid: nobody is no batch id: these are UUIDs")
  })
)

it.effect("is a layer, too", () =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.Sandbox
    const id = yield* sandbox.createJob({ batchId: "11111111-2222-4333-8444-555555555555" })
    expect(yield* Http.status(sandbox.baseUrl, id)).toMatchObject({
      batch_id: "11111111-2222-4333-8444-555555555555"
    })
  }).pipe(Effect.provide(Sandbox.layer(atOnce)))
)

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "sandbox-test-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const tmpdirIs = (folder: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const before = process.env.TMPDIR
      process.env.TMPDIR = folder
      return before
    }),
    (before) =>
      Effect.sync(() => {
        if (before === undefined) delete process.env.TMPDIR
        else process.env.TMPDIR = before
      })
  )
