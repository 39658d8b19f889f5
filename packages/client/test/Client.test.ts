import { createServer } from "node:http"
import { readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { inspect } from "node:util"
import { Schema } from "effect"
import * as v from "valibot"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { z } from "zod"
import {
  type Batch,
  BatchFailed,
  BatchNotCompleted,
  BatchNotFound,
  Client,
  ClientClosed,
  type Event,
  InvalidArgument,
  InvalidSetting,
  NotAuthorized,
  RecordInvalid,
  ResultsCorrupt,
  StorageError,
  WaitTimeout
} from "../src/index.js"
import * as Upstream from "./Upstream.js"
import { all, rejection } from "./Upstream.js"

let upstream: Awaited<ReturnType<typeof Upstream.start>>
let folder = ""

beforeAll(async () => {
  upstream = await Upstream.start()
  folder = await Upstream.emptyFolder()
})

afterEach(() => upstream.reset())

afterAll(async () => {
  await upstream.stop()
  await rm(folder, { recursive: true, force: true })
})

const unknownId = "01234567-89ab-4cde-8f01-23456789abcd"

describe("status", () => {
  it("is the job in plain values, and a failure an error of its class", async () => {
    const id = await upstream.createJob({ records: 3, unresolved: 1 })
    const client = upstream.client()
    const batch = await client.status(id)
    expect(batch).toEqual({
      batchId: id,
      status: "completed",
      entity: "company",
      action: "enrich",
      identifierCount: 4,
      resultCount: 3,
      entitiesRequested: 4,
      entitiesFulfilled: 3,
      createdAt: expect.any(Date),
      completedAt: expect.any(Date),
      errorMessage: undefined,
      requestId: expect.stringMatching(/./u)
    } satisfies Batch)
    expect(await rejection(client.status(unknownId))).toBeInstanceOf(BatchNotFound)
    expect(await rejection(upstream.client({ apiKey: "another-key" }).status(id))).toMatchObject({
      _tag: "NotAuthorized",
      reason: "InvalidKey"
    })
  })

  it("refuses what is no id, no duration, no number and no path, before anything is asked", async () => {
    const client = upstream.client()
    const before = (await upstream.requests()).length
    const refused = [
      client.status("seven"),
      client.wait(unknownId, { timeout: "soon" }),
      client.wait(unknownId, { timeout: -1 }),
      client.wait(unknownId, { timeout: Number.NaN }),
      all(client.list({ limit: 0 })),
      all(client.records(unknownId, { timeout: "1 fortnight" })),
      client.download(unknownId, { output: "" }),
      client.download(unknownId, { output: "rows.jsonl", columns: ["a"] }),
      client.download(unknownId, { output: folder, parts: true, format: "csv" }),
      client.get(unknownId, { output: join(folder, "x"), concurrency: 65 })
    ]
    const errors = await Promise.all(refused.map(rejection))
    expect(errors.map((error) => error instanceof InvalidArgument && error.argument)).toEqual([
      "id",
      ...Array.from({ length: 3 }, () => "timeout"),
      "limit",
      "timeout",
      "output",
      "columns",
      "format",
      "concurrency"
    ])
    expect((await upstream.requests()).length).toBe(before)
  })
})

describe("settings", () => {
  it("that cannot be used are rejections which name them, of every call", async () => {
    const wrong = upstream.client({ poll: { factor: 0 } })
    for (let call = 0; call < 2; call++) {
      const error = await rejection(wrong.status(unknownId))
      expect(error).toBeInstanceOf(InvalidSetting)
      expect(error).toMatchObject({ setting: "BATCH_POLL_FACTOR", message: expect.stringContaining("0") })
    }
    expect(
      await rejection(all(upstream.client({ retry: { baseDelay: -1 } }).records(unknownId)))
    ).toMatchObject({
      setting: "BATCH_RETRY_BASE_DELAY"
    })
    expect(
      await rejection(upstream.client({ baseUrl: "ftp://user:pw@host" }).status(unknownId))
    ).toMatchObject({
      setting: "CRUSTDATA_BASE_URL",
      message: expect.not.stringContaining("pw")
    })
  })
})

describe("wait", () => {
  it("tells of every answer, and is the completed job", async () => {
    const client = upstream.client()
    // its first call takes its time
    await client.credits()
    const id = await upstream.createJob({ records: 2, pendingMs: 500, processingMs: 40 })
    const seen: Array<string> = []
    const batch = await client.wait(id, {
      timeout: "1m",
      onStatus: ({ status }) => {
        seen.push(status)
      }
    })
    expect(batch.status).toBe("completed")
    expect(seen.at(-1)).toBe("completed")
    expect(seen.length).toBeGreaterThan(1)
  })

  it("ends at its timeout, with a job that failed, and with what a listener throws", async () => {
    const client = upstream.client()
    const stuck = await upstream.createJob({ stuck: true })
    const late = await rejection(client.wait(stuck, { timeout: 2 }))
    expect(late).toBeInstanceOf(WaitTimeout)
    expect(late).toMatchObject({
      batchId: stuck,
      elapsedSeconds: expect.any(Number),
      lastStatus: "processing"
    })
    const broken = await upstream.createJob({ outcome: "failed", errorMessage: "no such plan" })
    const failed = await rejection(client.wait(broken))
    expect(failed).toBeInstanceOf(BatchFailed)
    expect(failed).toMatchObject({ errorMessage: "no such plan", batch: { status: "failed" } })
    const thrown = new RangeError("of the listener")
    const listener = () => Promise.reject(thrown)
    expect(await rejection(client.wait(stuck, { onStatus: listener }))).toBe(thrown)
  })

  it("rejects with the reason of its signal, before or during", async () => {
    const client = upstream.client()
    const stuck = await upstream.createJob({ stuck: true })
    const reason = new Error("enough")
    expect(await rejection(client.wait(stuck, { signal: AbortSignal.abort(reason) }))).toBe(reason)
    const stop = new AbortController()
    const warned: Array<Error> = []
    const warn = (warning: Error) => warned.push(warning)
    process.on("warning", warn)
    const waits = Array.from({ length: 20 }, () =>
      client.wait(stuck, { timeout: Infinity, signal: stop.signal, onStatus: () => stop.abort(reason) })
    )
    expect(new Set(await Promise.all(waits.map(rejection)))).toEqual(new Set([reason]))
    process.off("warning", warn)
    expect(warned).toEqual([])
    const timed = await rejection(client.wait(stuck, { signal: AbortSignal.timeout(20) }))
    expect(timed).toMatchObject({ name: "TimeoutError" })
  })

  it("goes on through trouble, and tells of it", async () => {
    const id = await upstream.createJob({ records: 1 })
    await upstream.script({ on: { server: "api", path: id }, times: 2, do: { respond: { status: 503 } } })
    const events: Array<Event> = []
    await upstream.client().wait(id, {
      onEvent: (event) => {
        events.push(event)
      }
    })
    expect(events.map(({ _tag }) => _tag)).toEqual(["RequestFailed", "RequestFailed", "Status"])
    expect(events[0]).toMatchObject({ error: { _tag: "ApiUnavailable", status: 503 } })
    expect(await upstream.areSpent()).toBe(true)
  })
})

describe("list", () => {
  it("reads on over pages as it is read, of one state, and no more than a limit", async () => {
    const fresh = upstream.client()
    const ids = new Set<string>()
    for (let job = 0; job < 25; job++) ids.add(await upstream.createJob({ records: 1 }))
    const client = fresh
    const listed = await all(client.list({ status: "completed" }))
    expect(new Set(listed.map(({ status }) => status))).toEqual(new Set(["completed"]))
    expect([...ids].every((id) => listed.some(({ batchId }) => batchId === id))).toBe(true)
    const before = (await upstream.requests()).length
    expect(await all(client.list({ limit: 3 }))).toHaveLength(3)
    for await (const _ of client.list()) break
    expect((await upstream.requests()).length).toBe(before + 2)
  })
})

interface Row {
  readonly original_identifier: string
  readonly internal_id: number
}

describe("records", () => {
  it("are all rows of the job, once it is completed, through connections that break", async () => {
    const id = await upstream.createJob({ records: 300, pendingMs: 20, processingMs: 40 })
    await upstream.script({ on: { server: "storage" }, do: { cut: { afterBytes: 20_000, by: "reset" } } })
    const tags = new Set<string>()
    let proven = 0
    const rows = upstream.client().records<Row>(id, {
      timeout: "1m",
      onEvent: ({ _tag }) => {
        tags.add(_tag)
      },
      onProgress: ({ records }) => {
        proven = records
      }
    })
    const found = await all(rows)
    expect(new Set(found.map(({ internal_id }) => internal_id)).size).toBe(300)
    expect(proven).toBe(300)
    for (const tag of ["Status", "Planned", "Progress", "Retrying"]) expect(tags).toContain(tag)
    expect(await upstream.areSpent()).toBe(true)
  })

  it("are what a schema of any library makes of them, at once or later", async () => {
    const id = await upstream.createJob({ records: 20 })
    const client = upstream.client()
    const ofZod = z.object({ internal_id: z.number() }).transform(({ internal_id }) => internal_id)
    const ofValibot = v.pipeAsync(
      v.object({ internal_id: v.number() }),
      v.transformAsync(async ({ internal_id }) => internal_id)
    )
    const ofEffect = Schema.standardSchemaV1(Schema.Struct({ internal_id: Schema.Number }))
    const numbers: ReadonlyArray<number> = await all(client.records(id, { schema: ofZod }))
    expect(numbers).toHaveLength(20)
    expect(await all(client.records(id, { schema: ofValibot }))).toEqual(numbers)
    const structs = await all(client.records(id, { schema: ofEffect }))
    expect(structs.map(({ internal_id }) => internal_id)).toEqual(numbers)
  })

  it("that are invalid end them behind those before, or are skipped, or told", async () => {
    const id = await upstream.createJob({ records: 30 })
    const client = upstream.client()
    const rows = await all(client.records<Row>(id))
    const bad = rows[10]?.internal_id
    const schema = z.object({ internal_id: z.number().refine((number) => number !== bad, "not this one") })
    const read: Array<unknown> = []
    const error = await rejection(
      (async () => {
        for await (const row of client.records(id, { schema })) read.push(row)
      })()
    )
    expect(read).toHaveLength(10)
    expect(error).toBeInstanceOf(RecordInvalid)
    expect(error).toMatchObject({
      line: 11,
      detail: "internal_id: not this one",
      issues: [{ message: "not this one", path: ["internal_id"] }]
    })
    expect(await all(client.records(id, { schema, onInvalid: "skip" }))).toHaveLength(29)
    const told: Array<number> = []
    const onInvalid = async ({ line }: RecordInvalid) => {
      told.push(line)
    }
    expect(await all(client.records(id, { schema, onInvalid }))).toHaveLength(29)
    expect(told).toEqual([11])
    const thrown = new RangeError("of the handler")
    const handler = () => Promise.reject(thrown)
    expect(await rejection(all(client.records(id, { schema, onInvalid: handler })))).toBe(thrown)
  })

  it("come at the pace of their reader, who ends the transfer by stopping", async () => {
    const id = await upstream.createJob({ records: 4000, recordBytes: 8000, parts: 1 })
    let bytes = 0
    let totalBytes: number | undefined = 0
    const rows = upstream.client({ transfer: { blockBytes: 65_536, cellBytes: 262_144 } }).records(id, {
      onProgress: (progress) => {
        bytes = progress.bytes
        totalBytes = progress.totalBytes
      }
    })
    for await (const _ of rows) {
      await new Promise((resolve) => setTimeout(resolve, 300))
      break
    }
    const stopped = bytes
    expect(stopped).toBeLessThan((totalBytes ?? Infinity) / 2)
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(bytes).toBe(stopped)
  })

  it("end with the reason of their signal, even while nobody reads, and when the client is closed", async () => {
    const id = await upstream.createJob({ records: 500 })
    const client = upstream.client()
    const stop = new AbortController()
    const reason = new Error("enough")
    const rows = client.records(id, { signal: stop.signal })
    await rows.next()
    stop.abort(reason)
    expect(await rejection(rows.next())).toBe(reason)
    expect(await rows.next()).toEqual({ done: true, value: undefined })
    const others = client.records(id)
    await others.next()
    await client.close()
    expect(await rejection(others.next())).toBeInstanceOf(ClientClosed)
    expect(await rejection(all(client.records(id)))).toBeInstanceOf(ClientClosed)
  })
})

describe("download", () => {
  it("resumes what was aborted, over a fresh link, tells of it, and proves", async () => {
    const id = await upstream.createJob({ records: 2000, recordBytes: 4000, parts: 1 })
    const output = join(folder, "resumed.jsonl.gz")
    const client = upstream.client({
      transfer: { ...Upstream.impatient.transfer, blockBytes: 16_384, cellBytes: 65_536, syncBytes: 65_536 }
    })
    const stop = new AbortController()
    const reason = new Error("enough")
    const aborted = client.download(id, {
      output,
      signal: stop.signal,
      onProgress: ({ bytes }) => {
        if (bytes > 300_000) stop.abort(reason)
      }
    })
    expect(await rejection(aborted)).toBe(reason)
    expect(await readdir(folder)).not.toContain("resumed.jsonl.gz")
    await upstream.script({ on: { server: "storage" }, do: { expired: true } })
    const receipt = await client.get(id, { output, receipt: true, timeout: "1m" })
    expect(receipt).toMatchObject({
      batchId: id,
      output,
      format: "jsonl.gz",
      records: 2000,
      complete: true,
      urlRefreshes: 1,
      finishedAt: expect.any(Date)
    })
    expect(receipt.resumedBytes).toBeGreaterThan(0)
    expect(await upstream.areSpent()).toBe(true)

    expect(await rejection(client.download(id, { output }))).toMatchObject({
      _tag: "StorageError",
      reason: "Exists"
    })
    const before = (await upstream.requests()).length
    expect((await client.download(id, { output, skipExisting: true })).sha256).toBe(receipt.sha256)
    expect((await upstream.requests()).length).toBe(before)
    expect(await client.verify(output)).toEqual([
      expect.objectContaining({
        file: output,
        verified: true,
        records: 2000,
        sha256: receipt.sha256,
        receipt
      })
    ])
  })

  it("takes the form from the name: a table, a folder, or parts", async () => {
    const id = await upstream.createJob({ records: 5, parts: 2 })
    const client = upstream.client()
    const output = join(folder, "rows.csv")
    const table = await client.download(id, { output, columns: ["internal_id", "original_identifier"] })
    expect(table).toMatchObject({
      format: "csv",
      columns: ["internal_id", "original_identifier"],
      records: 5
    })
    const text = await readFile(output, "utf8")
    expect(text.trimEnd().split(/\r?\n/u)).toHaveLength(6)
    expect(text).toMatch(/^internal_id,original_identifier\r?\n/u)
    const inFolder = await client.get(id, { output: folder, format: "jsonl" })
    expect(inFolder.output).toBe(join(folder, `${id}.jsonl`))
    const parts = await client.get(id, { output: join(folder, "parts"), parts: true })
    expect(parts.parts.map(({ output: path, sha256 }) => [path, sha256?.length])).toEqual(
      ["000", "001"].map((part) => [join(folder, "parts", `${id}.part-${part}.jsonl.gz`), 64])
    )
  })

  it("publishes nothing that is not what was promised, and nothing of a job that runs or failed", async () => {
    const client = upstream.client()
    const id = await upstream.createJob({ records: 50, downloadUrls: false })
    await upstream.script({ on: { server: "storage" }, times: -1, do: { flipByte: { at: 1000 } } })
    const output = join(folder, "corrupt.jsonl.gz")
    const corrupt = await rejection(client.download(id, { output }))
    expect(corrupt).toBeInstanceOf(ResultsCorrupt)
    expect(await readdir(folder)).not.toContain("corrupt.jsonl.gz")
    const stuck = await upstream.createJob({ stuck: true })
    expect(await rejection(client.download(stuck, { output }))).toBeInstanceOf(BatchNotCompleted)
    const broken = await upstream.createJob({ outcome: "failed" })
    expect(await rejection(client.download(broken, { output }))).toBeInstanceOf(BatchFailed)
    expect(await rejection(client.verify(join(folder, "nothing")))).toBeInstanceOf(StorageError)
  })
})

describe("a client", () => {
  it("ends what runs when it is closed, once and for all", async () => {
    const stuck = await upstream.createJob({ stuck: true })
    let error: unknown
    {
      await using client = upstream.client()
      const waiting = rejection(client.wait(stuck))
      await client.status(stuck)
      await client.close()
      error = await waiting
      expect(await rejection(client.status(stuck))).toBeInstanceOf(ClientClosed)
    }
    expect(error).toBeInstanceOf(ClientClosed)
    await new Client().close()
  })

  it("says nothing of the key and of links in any failure", async () => {
    const id = await upstream.createJob({ records: 50, downloadUrls: false })
    const client = upstream.client({ retry: { ...Upstream.impatient.retry, limit: 0 } })
    const link = "https://bucket.example/object?X-Amz-Signature=c0ffee"
    const body = `{"error":{"message":"${Upstream.secret} ${link}"}}`
    const errors: Array<unknown> = []
    for (const status of [400, 401, 402, 403, 404, 429, 500]) {
      await upstream.script({ on: { server: "api" }, do: { respond: { status, body } } })
      errors.push(await rejection(client.status(id)))
    }
    await upstream.script({
      on: { server: "api" },
      do: { garbage: { body: `<html>${Upstream.secret} ${link}` } }
    })
    errors.push(await rejection(client.status(id)))
    await upstream.script({
      on: { server: "storage" },
      times: -1,
      do: { respond: { status: 403, body: `<Error>${link}</Error>` } }
    })
    errors.push(await rejection(client.download(id, { output: join(folder, "secret.jsonl") })))
    const failed = await upstream.createJob({ outcome: "failed", errorMessage: `see ${link}` })
    errors.push(await rejection(client.wait(failed)))
    expect(new Set(errors.map((error) => error instanceof Error && error.name)).size).toBeGreaterThan(6)
    for (const error of errors) {
      const shown = [
        JSON.stringify(error),
        inspect(error, { depth: Infinity, showHidden: true }),
        String(error),
        error instanceof Error ? `${error.stack}` : ""
      ].join("\n")
      expect(shown).not.toContain(Upstream.secret)
      expect(shown).not.toContain("c0ffee")
      expect(shown).not.toMatch(/X-Amz-Signature=[^*]/u)
      expect(JSON.parse(JSON.stringify(error))).toMatchObject({
        _tag: expect.any(String),
        message: expect.any(String)
      })
    }
    expect(errors[1]).toBeInstanceOf(NotAuthorized)
  })

  it("prints nothing", async () => {
    const printed: Array<unknown> = []
    const log = console.log
    console.log = (...args) => printed.push(args)
    try {
      const id = await upstream.createJob({ records: 1 })
      await upstream.script({ on: { server: "api", path: id }, times: 2, do: { respond: { status: 503 } } })
      await all(upstream.client().records(id))
    } finally {
      console.log = log
    }
    expect(printed).toEqual([])
  })

  it("has one throttle for calls of all kinds", async () => {
    const limited = await Upstream.start({ rateLimit: { limit: 3, windowSeconds: 100 } })
    try {
      const id = await limited.createJob({ records: 2 })
      const client = limited.client({ retry: {} })
      // the first answer tells how many are left in the window, which is longer than the test
      await client.status(id)
      const output = (name: string) => join(folder, `throttle-${name}.jsonl`)
      const ask = (name: string, signal?: AbortSignal) =>
        Promise.allSettled([
          client.status(id, { signal }),
          client.download(id, { output: output(name), signal })
        ])
      const outcomes = async (...asked: Parameters<typeof ask>) =>
        (await ask(...asked)).map(({ status }) => status)
      expect(await outcomes("first")).toEqual(["fulfilled", "fulfilled"])
      expect(await outcomes("second", AbortSignal.timeout(500))).toEqual(["rejected", "rejected"])
      const asked = (await limited.requests()).filter(({ server }) => server === "api")
      expect(asked.map(({ status }) => status)).toEqual([200, 200, 200])
    } finally {
      await limited.reset()
      await limited.stop()
    }
  })

  it("serves many requests of a server with one throttle", async () => {
    const limited = await Upstream.start({ rateLimit: { limit: 2, windowSeconds: 100 } })
    const id = await limited.createJob({ records: 1 })
    const client = limited.client({ retry: {} })
    const server = createServer((request, response) => {
      const gone = new AbortController()
      response.on("close", () => gone.abort())
      client.status(request.url?.slice(1) ?? "", { signal: gone.signal }).then(
        (batch) => response.end(batch.status),
        (error: unknown) => response.writeHead(500).end(String(error))
      )
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    try {
      const address = server.address()
      const port = typeof address === "object" ? address?.port : undefined
      const ask = () =>
        fetch(`http://127.0.0.1:${port}/${id}`, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
      // the first answer tells how many are left in the window, which is longer than the test
      const answers = [await ask(), ...(await Promise.all(Array.from({ length: 5 }, ask)))]
      expect(answers.filter((answer) => answer?.status === 200)).toHaveLength(2)
      expect(await limited.requests()).toHaveLength(2)
    } finally {
      await new Promise((resolve) => server.close(resolve))
      await limited.reset()
      await limited.stop()
    }
  })
})
