import { expect, layer } from "@effect/vitest"
import type { Fault, JobSpec } from "@org/batch-sandbox"
import { Effect, Fiber, Schedule, Schema } from "effect"
import { gunzipSync, inflateRawSync } from "node:zlib"
import { type Answer, json, problem } from "./Caller.js"
import { eventually, over, Service, layer as service, small, type Started, under } from "./Service.js"

const gzip = { accept: "application/gzip" }

/** So long that its first chunk has left before the last one is fetched. */
const long: JobSpec.JobSpec = { ...over, records: 600 }

const storage = (effects: Fault.Effects, nth = 1, times = 1): Fault.Rule => ({
  on: { server: "storage", nth },
  times,
  do: effects
})

const results = { ...small, BATCH_TRANSFER_RETRIES: "2", BATCH_TRANSFER_MAX_REFRESHES: "2" }

layer(service({ env: results }), { excludeTestServices: true })("GET /batch/{batch_id}/results", (it) => {
  for (const [name, spec] of [
    ["the merged file", {}],
    ["several members", { members: 5 }],
    ["part files only", { parts: 6, downloadUrl: false }],
    ["a merged file only", { downloadUrls: false }]
  ] as const) {
    it.effect(`are the rows, joined, and the bytes as delivered: ${name}`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob({ ...long, ...spec })
        const rows = yield* get(`/batch/${id}/results`)
        const raw = yield* get(`/batch/${id}/results`, gzip)
        expect([rows.status, rows.broken, raw.status, raw.broken]).toEqual([200, undefined, 200, undefined])
        expect(gunzipSync(raw.body).equals(rows.body)).toBe(true)
        const ids = rows.body
          .toString()
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).internal_id)
        expect(new Set(ids).size).toBe(600)
        expect(ids).toHaveLength(600)
        expect(raw.body.equals(yield* delivered(yield* get(`/batch/${id}`)))).toBe(true)
      })
    )
  }

  it.effect("say what they are", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      const rows = yield* get(`/batch/${id}/results`)
      const raw = yield* get(`/batch/${id}/results`, gzip)
      const common = {
        vary: "accept, accept-encoding",
        "x-result-count": "20",
        "cache-control": "private, no-cache"
      }
      expect(rows.headers).toMatchObject({ ...common, "content-type": "application/x-ndjson" })
      expect(raw.headers).toMatchObject({
        ...common,
        "content-type": "application/gzip",
        "content-disposition": `attachment; filename="${id}.jsonl.gz"`
      })
      expect(raw.headers["content-encoding"]).toBeUndefined()
      expect(raw.headers.etag).not.toBe(rows.headers.etag)
    })
  )

  it.effect("text is compressed into one member for whoever accepts that", () =>
    Effect.gen(function* () {
      const { get, open, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...long, members: 5 })
      const plain = yield* get(`/batch/${id}/results`)
      expect(plain.headers["content-encoding"]).toBeUndefined()
      for (const [accept, encoding, isEncoded] of [
        ["application/x-ndjson", "gzip, deflate, br", true],
        ["application/jsonl", "gzip;q=0.2, identity", true],
        ["text/csv", "gzip", true],
        ["application/x-ndjson", "gzip;q=0", false],
        ["application/x-ndjson", "br", false],
        ["application/gzip", "gzip", false]
      ] as const) {
        const answer = yield* get(`/batch/${id}/results`, { accept, "accept-encoding": encoding })
        expect([accept, encoding, answer.headers["content-encoding"]]).toEqual([
          accept,
          encoding,
          isEncoded ? "gzip" : undefined
        ])
        if (!isEncoded || accept === "text/csv") continue
        expect(answer.headers.vary).toBe("accept, accept-encoding")
        expect(oneMember(answer.body).equals(plain.body)).toBe(true)
      }
      // A failure after the first bytes breaks this off, too.
      const cut = yield* under(
        sandbox,
        [storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2), storage({ hang: true }, 2, 2)],
        Effect.flatMap(open(`/batch/${id}/results`, { "accept-encoding": "gzip" }), ({ whole }) => whole)
      ).pipe(Effect.scoped)
      expect([cut.status, cut.broken]).toEqual([200, "reset"])
    })
  )

  it.effect("the bytes as delivered come in parts, under a strong tag", () =>
    Effect.gen(function* () {
      const { ask, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...long, members: 5 })
      const path = `/batch/${id}/results`
      const raw = yield* get(path, gzip)
      const { etag = "" } = raw.headers
      expect(raw.headers).toMatchObject({
        "accept-ranges": "bytes",
        "transfer-encoding": "chunked"
      })
      expect(etag).toMatch(/^"\w+"$/u)
      const size = raw.body.length
      for (const [range, status, start, end] of [
        ["bytes=0-", 206, 0, size],
        ["bytes=1000-1999", 206, 1000, 2000],
        ["bytes=-5", 206, size - 5, size],
        [`bytes=${size - 1}-${size + 99}`, 206, size - 1, size],
        ["bytes=9-1", 200, 0, size],
        ["bytes=0-1,5-6", 200, 0, size],
        ["lines=0-1", 200, 0, size]
      ] as const) {
        const answer = yield* get(path, { ...gzip, range })
        expect([range, answer.status, answer.headers.etag]).toEqual([range, status, etag])
        expect([range, answer.body.equals(raw.body.subarray(start, end))]).toEqual([range, true])
        expect(answer.headers["content-range"]).toBe(
          status === 206 ? `bytes ${start}-${end - 1}/${size}` : undefined
        )
      }
      const behind = yield* get(path, { ...gzip, range: `bytes=${size}-` })
      expect(problem(behind)).toMatchObject({ status: 416, type: "RangeNotSatisfiable" })
      expect(behind.headers["content-range"]).toBe(`bytes */${size}`)
      const range = "bytes=10-19"
      expect((yield* get(path, { ...gzip, range, "if-range": etag })).status).toBe(206)
      expect((yield* get(path, { ...gzip, range, "if-range": `"another"` })).status).toBe(200)
      expect((yield* get(path, { ...gzip, "if-none-match": etag })).status).toBe(304)
      const head = yield* ask(path, { method: "HEAD", headers: gzip })
      expect([head.status, head.body.length, head.headers]).toEqual([
        200,
        0,
        expect.objectContaining({ etag, "accept-ranges": "bytes", "content-length": String(size) })
      ])
      expect((yield* get(path, { range })).status).toBe(200)
      const parts = yield* sandbox.createJob({ ...long, parts: 3, downloadUrl: false })
      const joined = yield* get(`/batch/${parts}/results`, { ...gzip, range })
      expect([joined.status, joined.headers["accept-ranges"]]).toEqual([200, undefined])
    })
  )

  it.effect("of nothing are nothing, without a request for a file", () =>
    Effect.gen(function* () {
      const { get, sandbox, transfers } = yield* Service
      const id = yield* sandbox.createJob({ ...over, records: 0, unresolved: 3 })
      const rows = yield* get(`/batch/${id}/results`)
      expect([rows.status, rows.body.length, rows.headers["x-result-count"]]).toEqual([200, 0, "0"])
      const raw = yield* get(`/batch/${id}/results`, gzip)
      expect([raw.status, gunzipSync(raw.body).length]).toEqual([200, 0])
      expect(yield* transfers(id)).toEqual([])
    })
  )

  for (const [accept, type] of [
    ["*/*", "application/x-ndjson"],
    ["application/*", "application/x-ndjson"],
    ["application/x-ndjson;q=0.5, application/gzip", "application/gzip"],
    ["application/json;q=1, application/gzip;q=0.1", "application/gzip"],
    ["application/gzip;q=0, */*;q=0.1", "application/x-ndjson"],
    ["application/jsonl", "application/x-ndjson"],
    ["application/json, application/x-jsonlines;q=0.5", "application/x-ndjson"],
    ["application/x-gzip", "application/gzip"],
    ["application/csv", "text/csv; charset=utf-8; header=present"]
  ] as const) {
    it.effect(`Accept: ${accept} gives ${type}`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(over)
        const { headers, status } = yield* get(`/batch/${id}/results`, { accept })
        expect([status, headers["content-type"]]).toEqual([200, type])
      })
    )
  }

  for (const [reason, spec, faults] of [
    ["NoLink", { downloadUrl: false, downloadUrls: false }, []],
    ["Missing", {}, [storage({ respond: { status: 404 } }, 1, 50)]],
    ["RowCount", { resultCount: 21 }, []]
  ] as const) {
    it.effect(`that are not what was promised (${reason}) end what is kept: the API is asked again`, () =>
      Effect.gen(function* () {
        const { calls, get, logs, sandbox } = yield* Service
        const id = yield* sandbox.createJob({ ...over, ...spec })
        const asked = Effect.map(calls(id), ({ length }) => length)
        yield* get(`/batch/${id}`)
        yield* sandbox.script(...faults)
        yield* get(`/batch/${id}/results`)
        yield* eventually(logs, (all) =>
          all.some(({ path, error }) => path === `/batch/${id}/results` && String(error).includes("Results"))
        )
        yield* sandbox.clearFaults
        const before = yield* asked
        yield* get(`/batch/${id}`)
        expect(yield* asked).toBe(before + 1)
      })
    )
  }

  it.effect("406 when nothing that is accepted can be had, before anything is asked for", () =>
    Effect.gen(function* () {
      const { calls, get, sandbox } = yield* Service
      const id = yield* sandbox.createJob(over)
      for (const accept of ["application/json", "image/*", "application/gzip;q=0"]) {
        const answer = yield* get(`/batch/${id}/results`, { accept })
        expect(problem(answer)).toMatchObject({ status: 406, type: "NotAcceptable" })
      }
      expect(yield* calls(id)).toEqual([])
    })
  )

  it.effect("HEAD has the headers of GET, and If-None-Match gives 304: neither asks for a file", () =>
    Effect.gen(function* () {
      const { ask, get, sandbox, transfers } = yield* Service
      const id = yield* sandbox.createJob(over)
      const head = yield* ask(`/batch/${id}/results`, { method: "HEAD" })
      const etag = String(head.headers.etag)
      const known = yield* get(`/batch/${id}/results`, { "if-none-match": `"other", ${etag}` })
      expect([head.status, head.body.length, known.status, known.body.length]).toEqual([200, 0, 304, 0])
      expect([head.headers["x-result-count"], known.headers.etag]).toEqual(["20", etag])
      for (const tag of ["*", etag.replace(/^W\//u, "")]) {
        expect((yield* get(`/batch/${id}/results`, { "if-none-match": tag })).status).toBe(304)
      }
      expect(yield* transfers(id)).toEqual([])

      const full = yield* get(`/batch/${id}/results`, { "if-none-match": `"other"` })
      expect([full.status, full.headers.etag]).toEqual([200, etag])
      expect((yield* get(`/batch/${id}/results`, { ...gzip, "if-none-match": etag })).status).toBe(200)
    })
  )

  it.effect("409 with Retry-After while the job is running, 422 when it has failed", () =>
    Effect.gen(function* () {
      const { ask, get, sandbox } = yield* Service
      const running = yield* sandbox.createJob({ stuck: true })
      const answer = yield* get(`/batch/${running}/results`)
      expect(problem(answer)).toMatchObject({
        status: 409,
        type: "BatchNotCompleted",
        metadata: { batch_id: running, status: "processing" }
      })
      expect(answer.headers["retry-after"]).toBe("5")
      expect((yield* ask(`/batch/${running}/results`, { method: "HEAD" })).status).toBe(409)

      const failed = yield* sandbox.createJob({ ...over, outcome: "failed", errorMessage: "no provider" })
      expect(problem(yield* get(`/batch/${failed}/results`))).toMatchObject({
        status: 422,
        type: "BatchFailed",
        message: expect.stringContaining("no provider"),
        metadata: { batch: expect.objectContaining({ batch_id: failed, error_message: "no provider" }) }
      })
    })
  )

  it.effect("?wait waits for the job first: 504 when the time is up, 422 when it fails meanwhile", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const id = yield* sandbox.createJob({ ...over, processingMs: 300 })
      const rows = yield* get(`/batch/${id}/results?wait=10m`)
      expect([rows.status, rows.headers["x-result-count"]]).toEqual([200, "20"])

      const stuck = yield* sandbox.createJob({ stuck: true })
      expect(problem(yield* get(`/batch/${stuck}/results?wait=2s`))).toMatchObject({
        status: 504,
        type: "WaitTimeout",
        metadata: { batch_id: stuck, last_status: "processing" }
      })
      const waiting = yield* Effect.fork(get(`/batch/${stuck}/results?wait=10m`))
      yield* sandbox.job(stuck).fail()
      expect(problem(yield* waiting)).toMatchObject({ status: 422 })
      for (const wait of ["soon", "2h", ""]) {
        expect(problem(yield* get(`/batch/${stuck}/results?wait=${wait}`))).toMatchObject({ status: 400 })
      }
    })
  )

  for (const [name, spec, rules, type] of [
    ["no links", { downloadUrl: false, downloadUrls: false }, [], "ResultsUnavailable"],
    ["a page in place of the file", {}, [storage({ garbage: {} }, 1, -1)], "ResultsCorrupt"],
    ["a damaged header", {}, [storage({ flipByte: { at: 1 } }, 1, -1)], "ResultsCorrupt"],
    ["a host that is down", {}, [storage({ respond: { status: 503 } }, 1, 3)], "TransferFailed"],
    ["a link that is dead for ever", {}, [storage({ expired: true }, 1, -1)], "ResultsUnavailable"]
  ] as const) {
    it.effect(`502 for what is wrong before the first byte: ${name}`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob({ ...over, ...spec })
        const answer = yield* under(sandbox, rules, get(`/batch/${id}/results`))
        expect(problem(answer)).toMatchObject({ status: 502, type })
      })
    )
  }

  for (const [name, rules] of [
    ["a cut by reset", [storage({ cut: { afterBytes: 9000, by: "reset" } })]],
    ["cuts in the middle", [storage({ cut: { afterBytes: 20_000, by: "fin" } }, 2, 2)]],
    ["a busy host", [storage({ respond: { status: 503 } }, 1, 2)]],
    ["a stall", [storage({ stall: { afterBytes: 17_000 } }, 2)]],
    [
      "a link that ends in the middle",
      [storage({ cut: { afterBytes: 20_000, by: "fin" } }, 2), storage({ expired: true }, 2)]
    ],
    [
      "temporary credentials that end in the middle",
      [
        storage({ cut: { afterBytes: 20_000, by: "fin" } }, 2),
        storage({ expired: { as: "ExpiredToken" } }, 2)
      ]
    ]
  ] as const) {
    it.effect(`${name} is not seen by the caller`, () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const id = yield* sandbox.createJob(long)
        const clean = yield* get(`/batch/${id}/results`)
        const disturbed = yield* under(sandbox, rules, get(`/batch/${id}/results`))
        expect([disturbed.status, disturbed.broken]).toEqual([200, undefined])
        expect(disturbed.body.equals(clean.body)).toBe(true)
      })
    )
  }

  it.scoped("links that are revoked while the stream is under way are asked for anew", () =>
    Effect.gen(function* () {
      const { calls, get, open, sandbox } = yield* Service
      const id = yield* sandbox.createJob(long)
      const clean = yield* get(`/batch/${id}/results`)
      const before = (yield* calls(id)).length
      const rule = storage({ stall: { afterBytes: 60_000 } }, 2)
      const { body, broken } = yield* under(
        sandbox,
        [rule],
        Effect.gen(function* () {
          const stream = yield* open(`/batch/${id}/results`)
          yield* stream.atLeast(200_000)
          yield* sandbox.job(id).expireLinks()
          return yield* stream.whole
        })
      )
      expect([broken, body.equals(clean.body)]).toEqual([undefined, true])
      expect((yield* calls(id)).length - before).toBe(1)
    })
  )

  for (const [name, tag, spec, rules] of [
    ["a byte that is flipped", /ResultsCorrupt/u, {}, [storage({ flipByte: { at: 60_000 } }, 1, -1)]],
    ["a row too few", /ResultsCorrupt/u, { resultCount: 601 }, []],
    ["a row too many", /ResultsCorrupt/u, { resultCount: 599 }, []],
    ["junk behind the end", /ResultsCorrupt/u, {}, [storage({ extraBytes: { n: 50, kind: "junk" } }, 1, -1)]],
    [
      "a member behind the end",
      /ResultsCorrupt/u,
      {},
      [storage({ extraBytes: { n: 3, kind: "member" } }, 1, -1)]
    ],
    [
      "an object that is replaced",
      /ResultsUnavailable/u,
      {},
      [
        storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2),
        storage({ delay: { ms: 300 }, changed: true }, 2)
      ]
    ],
    [
      "a link that is dead for ever",
      /ResultsUnavailable/u,
      {},
      [
        storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2),
        storage({ delay: { ms: 300 }, expired: true }, 2, -1)
      ]
    ],
    [
      "an object that goes",
      /ResultsUnavailable/u,
      {},
      [
        storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2),
        storage({ delay: { ms: 300 }, respond: { status: 404 } }, 2, -1)
      ]
    ],
    [
      "a host that goes silent",
      /TransferFailed/u,
      {},
      [storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2), storage({ hang: true }, 2, 2)]
    ]
  ] as const) {
    for (const [form, accept] of [
      ["rows", undefined],
      ["bytes as delivered", gzip]
    ] as const) {
      it.effect(`${name} in the middle of the ${form} breaks them off; until then they are a prefix`, () =>
        Effect.gen(function* () {
          const { get, logs, metric, sandbox } = yield* Service
          const id = yield* sandbox.createJob({ ...long, ...spec })
          const raw = yield* delivered(yield* get(`/batch/${id}`))
          const clean = form === "rows" ? gunzipSync(raw) : raw
          const broken = metric(`batch_server_results_total{outcome="broken"}`)
          const before = yield* broken
          const { body, headers, ...end } = yield* under(sandbox, rules, get(`/batch/${id}/results`, accept))
          expect(end).toEqual({ status: 200, broken: expect.stringMatching(/reset|closed/u) })
          expect(body.length).toBeGreaterThan(0)
          if (name !== "a byte that is flipped") expect(agree(body, clean)).toBe(true)
          expect(yield* broken).toBe(before + 1)
          const line = yield* eventually(
            Effect.map(logs, (all) => all.find(({ request_id }) => request_id === headers["x-request-id"])),
            (found) => found !== undefined
          )
          expect(line).toMatchObject({ status: 200, error: expect.stringMatching(tag) })
        })
      )
    }
  }

  for (const version of ["1.0", "1.1"]) {
    it.effect(`broken off by a reset, so that nobody takes them for whole: HTTP/${version}`, () =>
      Effect.gen(function* () {
        const { raw, sandbox } = yield* Service
        const id = yield* sandbox.createJob(long)
        const { isReset, received } = yield* under(
          sandbox,
          [storage({ cut: { afterBytes: 60_000, by: "fin" } }, 2), storage({ hang: true }, 2, 2)],
          raw(`GET /batch/${id}/results HTTP/${version}\r\nHost: localhost\r\n\r\n`)
        )
        expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n.*"internal_id"/su)
        expect(received.endsWith("0\r\n\r\n")).toBe(false)
        expect(isReset).toBe(true)
      })
    )
  }
})

/** Some 150 MB of rows, 20 MB on the wire. */
const large: JobSpec.JobSpec = { ...over, records: 30_000, recordBytes: 5000, parts: 1 }

layer(service(), { excludeTestServices: true })("a large result", (it) => {
  it.scoped(
    "comes as slowly as it is read, takes no more memory than a short one, and goes with its reader",
    () =>
      Effect.gen(function* () {
        const { get, logs, metric, open, sandbox, transfers } = yield* Service
        yield* get(`/batch/${yield* sandbox.createJob(over)}/results`)
        const memory = metric("process_resident_memory_bytes")
        const before = yield* memory
        const id = yield* sandbox.createJob(large)
        const size = yield* sizeOf(yield* get(`/batch/${id}`))
        const seen: Array<number> = []
        yield* memory.pipe(
          Effect.tap((now) => Effect.sync(() => seen.push(now))),
          Effect.repeat(Schedule.spaced("50 millis")),
          Effect.forkScoped
        )
        const asleep = yield* open(`/batch/${id}/results`)
        yield* asleep.atLeast(1)
        expect(yield* settled(sent(transfers(id)))).toBeLessThan(size / 2)
        const awake = yield* open(`/batch/${id}/results`, gzip)
        expect(yield* awake.length).toBe(size)
        expect(yield* asleep.length).toBeGreaterThan(7 * size)
        expect(seen.length).toBeGreaterThan(10)
        expect(Math.max(...seen) - before).toBeLessThan(128 * 1024 * 1024)

        // It is no longer fetched when its reader goes away.
        const streams = metric(`batch_server_open_streams{kind="results"}`)
        const abandoned = metric(`batch_server_results_total{outcome="abandoned"}`)
        const [openBefore, abandonedBefore] = [yield* streams, yield* abandoned]
        const sentBefore = yield* sent(transfers(id))
        const stream = yield* open(`/batch/${id}/results`)
        yield* stream.atLeast(1)
        expect(yield* streams).toBe(openBefore + 1)
        yield* stream.leave
        yield* eventually(streams, (now) => now === openBefore)
        expect(yield* abandoned).toBe(abandonedBefore + 1)
        expect((yield* settled(sent(transfers(id)))) - sentBefore).toBeLessThan(size)
        yield* eventually(
          Effect.map(logs, (all) => all.filter(({ path }) => path === `/batch/${id}/results`)),
          (lines) => lines.some(({ error }) => error === "the caller went away")
        )
      })
  )

  it.scoped("is not even begun when its reader goes away before the first byte", () =>
    Effect.gen(function* () {
      const { get, logs, sandbox, transfers } = yield* Service
      const id = yield* sandbox.createJob(over)
      yield* under(
        sandbox,
        [storage({ hang: true })],
        Effect.gen(function* () {
          const waiting = yield* Effect.fork(get(`/batch/${id}/results`))
          yield* eventually(transfers(id), ({ length }) => length === 1)
          yield* Fiber.interrupt(waiting)
          yield* eventually(logs, (lines) => lines.some(({ status }) => status === 499))
        })
      )
      expect(yield* transfers(id)).toHaveLength(1)
    })
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** Inflates the first member only, as browsers do. */
const oneMember = (bytes: Buffer): Buffer => inflateRawSync(bytes.subarray(10))

const Links = Schema.Struct({
  download_url: Schema.optional(Schema.String),
  download_urls: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
})

/** What the file host has of a job: the merged file, or else its part files behind each other. */
const delivered = (answer: Answer): Effect.Effect<Buffer> =>
  Effect.promise(async () => {
    const { download_url, download_urls } = Schema.decodeUnknownSync(Links)(json(answer))
    const files = (download_url === undefined ? download_urls : [download_url]).map(async (link) =>
      Buffer.from(await (await fetch(link)).arrayBuffer())
    )
    return Buffer.concat(await Promise.all(files))
  })

/** The size of the merged file of a job at the file host. */
const sizeOf = (answer: Answer): Effect.Effect<number> =>
  Effect.promise(async () => {
    const { download_url = "" } = Schema.decodeUnknownSync(Links)(json(answer))
    const { headers } = await fetch(download_url, { headers: { range: "bytes=0-0" } })
    return Number(headers.get("content-range")?.split("/")[1])
  })

/** Whether one of the two goes on where the other ends. */
const agree = (a: Buffer, b: Buffer): boolean => {
  const common = Math.min(a.length, b.length)
  return a.subarray(0, common).equals(b.subarray(0, common))
}

/** Body bytes that the file host has sent. */
const sent = (transfers: ReturnType<Started["transfers"]>): Effect.Effect<number> =>
  Effect.map(transfers, (all) => all.reduce((sum, { bytesSent }) => sum + bytesSent, 0))

/** A figure once it has not changed for a while. */
const settled = (figure: Effect.Effect<number>): Effect.Effect<number> =>
  Effect.iterate(
    { value: Number.NaN, same: 0 },
    {
      while: ({ same }) => same < 5,
      body: ({ same, value }) =>
        Effect.map(Effect.delay(figure, "50 millis"), (now) => ({
          value: now,
          same: now === value ? same + 1 : 0
        }))
    }
  ).pipe(Effect.map(({ value }) => value))
