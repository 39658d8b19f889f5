import { expect, it } from "@effect/vitest"
import type { Sandbox } from "@org/batch-sandbox"
import { Effect, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { type Answer, ask, json, problem, type Request } from "./Caller.js"
import { eventually, launch, nobody, quick, type Started, start, temporary } from "./Service.js"

const Campaign = Schema.Struct({
  campaign_id: Schema.String,
  state: Schema.String,
  attempt: Schema.Number,
  max_credits: Schema.NullOr(Schema.Number),
  progress: Schema.Struct({
    rows: Schema.NullOr(Schema.Number),
    jobs: Schema.Record({ key: Schema.String, value: Schema.Number }),
    records: Schema.Number
  }),
  report: Schema.NullOr(
    Schema.Struct({
      output: Schema.String,
      fates: Schema.Record({ key: Schema.String, value: Schema.Number }),
      complete: Schema.Boolean
    })
  ),
  error: Schema.NullOr(Schema.Struct({ type: Schema.String, message: Schema.String }))
})

const campaign = (answer: Answer) => Schema.decodeUnknownSync(Campaign)(json(answer))

const Page = Schema.Struct({
  campaigns: Schema.Array(Campaign),
  next_cursor: Schema.NullOr(Schema.String),
  has_more: Schema.Boolean
})

const page = (answer: Answer) => Schema.decodeUnknownSync(Page)(json(answer))

/** Of 50 rows one is of a person who opted out, one is found nowhere, one comes twice, and one is no address. */
const emails = (count: number, domain = "acme.example") =>
  Array.from({ length: count }, (_, at) => {
    const row = at + 1
    if (row % 50 === 7) return `redacted${row}@${domain}`
    if (row % 50 === 9) return `unresolved${row}@${domain}`
    if (row % 50 === 11) return ` PERSON${row - 1}@${domain} `
    return row % 50 === 13 ? "nobody" : `person${row}@${domain}`
  })

const ndjson = (list: ReadonlyArray<string>): string =>
  list.map((email, at) => `${JSON.stringify({ id: at + 1, email })}\n`).join("")

const handIn = (body: string, headers: Request["headers"] = {}): Request => ({
  method: "POST",
  headers: { "content-type": "application/x-ndjson", ...headers },
  body
})

const identify = "/campaigns?kind=person/identify&column=email&as=emails"

const isRefused = (answer: Answer, status: number, type: string) =>
  expect(problem(answer)).toMatchObject({ status, type })

const settings = (folder: string) => ({ ...quick, BATCH_SERVER_STATE: folder })

/** The campaign, once it is so. */
const seen = (
  get: Started["get"],
  id: string,
  headers: Request["headers"],
  isSo: (one: ReturnType<typeof campaign>) => boolean
) => eventually(Effect.delay(Effect.map(get(`/campaigns/${id}`, headers), campaign), "100 millis"), isSo)

/** The campaign at its end. */
const ended = (get: Started["get"], id: string, headers: Request["headers"] = {}) =>
  seen(get, id, headers, ({ state }) => state !== "waiting" && state !== "running")

const Listed = Schema.parseJson(
  Schema.Struct({
    jobs: Schema.Array(
      Schema.Struct({ batch_id: Schema.String, status: Schema.String, identifier_count: Schema.Number })
    )
  })
)

/** The jobs that the API knows of. */
const listed = (sandbox: Sandbox.Service) =>
  Effect.promise(async () => {
    const headers = { authorization: `Bearer ${sandbox.apiKey}` }
    const answer = await fetch(`${sandbox.baseUrl}/batch?limit=100`, { headers })
    return Schema.decodeSync(Listed)(await answer.text()).jobs
  })

/** How many inputs they have. */
const jobsOf = (sandbox: Sandbox.Service) =>
  Effect.map(listed(sandbox), (jobs) => jobs.map((job) => job.identifier_count))

/** Whatever lies in a folder, as text. */
const contents = (folder: string): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => readFileSync(join(parentPath, name), "latin1"))
    .join("\n")

const lines = (text: string): ReadonlyArray<string> => text.split(/\r?\n/u).filter((line) => line !== "")

const submitted = { recordBytes: 300, pendingMs: 0, processingMs: 100, parts: 1 }

const form = (
  file: { readonly name: string; readonly text: string },
  fields: Readonly<Record<string, string>>
) => {
  const parts = [
    ...Object.entries(fields).map(
      ([name, value]) => `Content-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
    ),
    `Content-Disposition: form-data; name="list"; filename="${file.name}"\r\nContent-Type: text/plain\r\n\r\n${file.text}\r\n`
  ]
  return {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=seam" },
    body: `${parts.map((part) => `--seam\r\n${part}`).join("")}--seam--\r\n`
  }
}

it.scopedLive(
  "takes a list in, makes one result of it, and tells the fate of every row",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const {
        ask: call,
        get,
        sandbox
      } = yield* start({
        env: settings(folder),
        sandbox: { submitted, usageDelayMs: 0 }
      })
      expect(page(yield* get("/campaigns"))).toEqual({ campaigns: [], next_cursor: null, has_more: false })
      isRefused(yield* get(`/campaigns/${nobody}`), 404, "CampaignNotFound")
      expect(existsSync(join(folder, "store"))).toBe(false)

      const list = ndjson(emails(1500))
      const bounded = `${identify}&max_credits=2000`
      const created = yield* call(bounded, handIn(list, { "idempotency-key": "the-first" }))
      expect(created.status).toBe(202)
      const { campaign_id: id } = campaign(created)
      const path = `/campaigns/${id}`
      expect(created.headers["location"]).toBe(path)
      isRefused(yield* get(`${path}/results`), 409, "CampaignConflict")
      isRefused(yield* call(`${path}/retry`, { method: "POST" }), 409, "CampaignConflict")
      const events = yield* get(`${path}/events`)
      expect(events.headers["content-type"]).toBe("text/event-stream")
      expect(events.body.toString()).toMatch(
        /event: campaign\ndata: .*\n\n(?:.|\n)*event: end\ndata: .*"done"/u
      )
      const lastId = /id: (.*)\nevent: end/u.exec(events.body.toString())?.[1] ?? ""
      expect((yield* get(`${path}/events`, { "last-event-id": lastId })).status).toBe(204)
      expect(campaign(yield* get(path))).toMatchObject({
        state: "done",
        error: null,
        progress: { rows: 1500, jobs: { total: 5, fetched: 5, waiting: 0, running: 0 }, records: 1440 },
        report: {
          output: `${path}/results`,
          fates: {
            matched: 1380,
            not_found: 30,
            redacted: 30,
            rejected: 30,
            duplicate: 30,
            failed: 0,
            undecided: 0
          },
          complete: true
        }
      })
      expect((yield* jobsOf(sandbox)).toSorted()).toEqual([240, 300, 300, 300, 300])

      // what came of it
      const results = yield* get(`${path}/results`)
      expect([results.status, results.headers["content-type"]]).toEqual([200, "application/gzip"])
      expect(lines(gunzipSync(results.body).toString())).toHaveLength(1440)
      const etag = String(results.headers["etag"])
      expect((yield* get(`${path}/results`, { "if-none-match": etag })).status).toBe(304)
      const total = results.body.length
      const part = yield* get(`${path}/results`, { range: "bytes=100-", "if-range": etag })
      expect([part.status, part.headers["content-range"]]).toEqual([206, `bytes 100-${total - 1}/${total}`])
      expect(part.body.equals(results.body.subarray(100))).toBe(true)
      isRefused(yield* get(`${path}/results`, { range: `bytes=${total}-` }), 416, "RangeNotSatisfiable")
      const head = yield* call(`${path}/results`, { method: "HEAD" })
      expect([head.status, head.headers["content-length"], head.body.length]).toEqual([200, String(total), 0])
      const [header, ...fates] = lines((yield* get(`${path}/fates`)).body.toString())
      expect(header).toBe("row,identifier,fate,reason,batch_id,duplicate_of")
      expect(fates).toHaveLength(1500)
      expect(fates[10]).toBe("11, PERSON10@acme.example ,duplicate,,,10")
      const told = lines((yield* get(`${path}/fates`, { accept: "application/x-ndjson" })).body.toString())
      expect(told).toHaveLength(1500)
      expect(JSON.parse(told[10] ?? "")).toEqual({
        row: 11,
        identifier: " PERSON10@acme.example ",
        fate: "duplicate",
        reason: null,
        batch_id: null,
        duplicate_of: 10
      })
      isRefused(yield* get(`${path}/fates`, { accept: "image/png" }), 406, "NotAcceptable")
      const remainder = lines((yield* get(`${path}/remainder`)).body.toString())
      expect([remainder[0], remainder[1], remainder.length]).toEqual([
        "id,email",
        "9,unresolved9@acme.example",
        31
      ])

      // the same again is the same, whatever it may cost; a key belongs to one
      const submits = (yield* sandbox.requests).filter(({ method }) => method === "POST").length
      const again = yield* call(`${identify}&yes=true`, handIn(list))
      expect([again.status, campaign(again).campaign_id, campaign(again).state]).toEqual([200, id, "done"])
      const reused = handIn(ndjson(emails(3)), { "idempotency-key": "the-first" })
      isRefused(yield* call(bounded, reused), 422, "IdempotencyKeyReused")
      isRefused(yield* call(path, { method: "DELETE" }), 409, "CampaignConflict")
      isRefused(yield* call(`${path}/retry`, { method: "POST" }), 409, "CampaignConflict")

      // what may cost more than it may is not begun
      const other = `${identify}&name=again&max_credits=1439`
      const tooDear = campaign(yield* call(other, handIn(list)))
      expect(tooDear.campaign_id).not.toBe(id)
      const refused = yield* ended(get, tooDear.campaign_id)
      expect([refused.state, refused.error?.type]).toEqual(["failed", "CampaignRefused"])
      expect((yield* sandbox.requests).filter(({ method }) => method === "POST")).toHaveLength(submits)

      // lists that are none, and parameters that make no sense
      const three = ndjson(emails(3))
      for (const [where, request, status, type] of [
        [identify, handIn(three), 400, "RequestRejected"],
        [`${bounded}&max_credit=3`, handIn(three), 400, "RequestRejected"],
        [`${bounded}&join=maybe`, handIn(three), 400, "RequestRejected"],
        [bounded.replace("identify", "identity"), handIn(three), 400, "RequestInvalid"],
        [bounded.replace("&as=emails", "&as=mails"), handIn(three), 400, "RequestInvalid"],
        [`${bounded}&body=[]`, handIn(three), 400, "RequestRejected"],
        [
          `${bounded}&body=%7B%22business_emails%22:[%22a@b.example%22]%7D`,
          handIn(three),
          400,
          "RequestInvalid"
        ],
        [bounded, handIn(""), 400, "InputInvalid"],
        [bounded, handIn("domain\nacme.com\n", { "content-type": "text/csv" }), 400, "InputInvalid"],
        [bounded, handIn(three, { "content-type": "image/png" }), 415, "UnsupportedMediaType"],
        [bounded, handIn(three, { "content-encoding": "gzip" }), 415, "UnsupportedMediaType"],
        [bounded, handIn(three, { origin: "https://elsewhere.example" }), 403, "NotAuthorized"],
        [bounded, { ...form({ name: "", text: "" }, {}), body: "--seam--\r\n" }, 400, "RequestRejected"],
        [bounded, form({ name: "a.csv", text: "email\na@b.example" }, { odd: "1" }), 400, "RequestRejected"]
      ] as const) {
        isRefused(yield* call(where, request), status, type)
      }
      expect(
        readdirSync(join(folder, "retrievals", ".campaigns")).filter((name) => name.startsWith("."))
      ).toEqual([])

      // a form; a job that fails, and is submitted again on purpose only
      yield* sandbox.onSubmit({
        nth: 1,
        job: { ...submitted, outcome: "failed", errorMessage: "upstream trouble" }
      })
      const csv = `email\n${emails(20, "other.example").join("\n")}\n`
      const fields = {
        kind: "person/identify",
        column: "email",
        as: "emails",
        yes: "true",
        format: "csv",
        join: "false"
      }
      const failing = campaign(yield* call("/campaigns", form({ name: "leads.csv", text: csv }, fields)))
      const failed = yield* ended(get, failing.campaign_id)
      expect([failed.state, failed.report?.complete, failed.report?.fates["failed"]]).toEqual([
        "done",
        false,
        18
      ])
      const where = `/campaigns/${failing.campaign_id}`
      expect((yield* get(`${where}/fates`)).body.toString()).toContain("upstream trouble")
      const retried = yield* call(`${where}/retry`, { method: "POST" })
      expect([retried.status, campaign(retried).attempt]).toEqual([202, 2])
      const whole = yield* ended(get, failing.campaign_id)
      expect([whole.state, whole.report?.complete]).toEqual(["done", true])
      const table = yield* get(`${where}/results`)
      expect([table.headers["content-type"], lines(table.body.toString()).length]).toEqual([
        "text/csv; charset=utf-8; header=present",
        19
      ])

      // stopped, and gone on with, without a further job
      const before = (yield* jobsOf(sandbox)).length
      yield* sandbox.onSubmit({ nth: 1, job: { ...submitted, processingMs: 3_600_000 } })
      const waiting = campaign(
        yield* call(bounded.replace("2000", "20"), handIn(ndjson(emails(20, "third.example"))))
      )
      const stuck = `/campaigns/${waiting.campaign_id}`
      yield* seen(get, waiting.campaign_id, {}, ({ progress }) => progress.jobs["running"] === 1)
      const followed = get(`${stuck}/events`)
      // It counts as running from when it is sent, and is at the API a moment later.
      yield* eventually(jobsOf(sandbox), ({ length }) => length > before)
      const stopped = yield* call(stuck, { method: "DELETE" })
      expect([stopped.status, campaign(stopped).state]).toEqual([200, "cancelled"])
      expect((yield* followed).body.toString()).toMatch(/event: end\ndata: .*"cancelled"/u)
      const unchanged = campaign(yield* call(bounded, handIn(ndjson(emails(20, "third.example")))))
      expect([unchanged.campaign_id, unchanged.state]).toEqual([waiting.campaign_id, "cancelled"])
      yield* call(`${stuck}/retry?max_credits=1000`, { method: "POST" })
      yield* seen(get, waiting.campaign_id, {}, ({ state }) => state === "running")
      const open = (yield* listed(sandbox)).find(
        ({ status }) => status !== "completed" && status !== "failed"
      )
      yield* sandbox.job(open?.batch_id ?? "").complete
      expect(yield* ended(get, waiting.campaign_id)).toMatchObject({
        state: "done",
        max_credits: 1000,
        report: { complete: true }
      })
      expect(yield* jobsOf(sandbox)).toHaveLength(before + 1)

      // a job that a caller starts by itself keeps its place: of the account's five, a campaign has four then
      yield* sandbox.onSubmit({ nth: 1, job: { ...submitted, processingMs: 3_600_000 } })
      const own = yield* call("/batch/person/identify", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ emails: ["somebody@fourth.example"] })
      })
      expect(own.status).toBe(200)
      const crowded = bounded.replace("person/identify", "person/identify&max_active=5")
      const five = campaign(yield* call(crowded, handIn(ndjson(emails(1500, "fifth.example")))))
      expect(yield* ended(get, five.campaign_id)).toMatchObject({ state: "done", report: { complete: true } })
      expect((yield* sandbox.requests).filter(({ status }) => status === 429)).toEqual([])

      // lists of them
      expect(page(yield* get("/campaigns?state=failed")).campaigns.map((one) => one.campaign_id)).toContain(
        tooDear.campaign_id
      )
      const first = page(yield* get("/campaigns?limit=1"))
      expect([first.has_more, first.campaigns[0]?.campaign_id]).toEqual([true, five.campaign_id])
      expect(
        page(yield* get(`/campaigns?cursor=${first.next_cursor ?? ""}`)).campaigns.at(-1)?.campaign_id
      ).toBe(id)
      isRefused(yield* get("/campaigns?state=odd"), 400, "RequestRejected")
      isRefused(yield* get("/campaigns?cursor=odd"), 400, "RetrievalInvalid")
      expect((yield* get("/metrics")).body.toString()).toMatch(/^batch_server_campaigns\{state="done"\} 4$/mu)
    }),
  300_000
)

it.scopedLive(
  "goes on after a kill without a job submitted twice, and keeps accounts apart",
  () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const env = {
        ...settings(folder),
        CRUSTDATA_API_KEY: undefined,
        BATCH_SERVER_SECRET: "00112233445566778899aabbccddeeff".repeat(2)
      }
      const {
        ask: call,
        get,
        kill,
        outcome,
        sandbox
      } = yield* start({
        env,
        sandbox: { submitted: { ...submitted, processingMs: 700 }, usageDelayMs: 0 }
      })
      const [mine, theirs] = [sandbox.apiKey, "key-of-somebody-else"].map((key) => ({
        authorization: `Bearer ${key}`
      }))
      const created = yield* call(
        `${identify}&yes=true&max_active=2&join=true&format=jsonl`,
        handIn(ndjson(emails(1300)), mine)
      )
      expect(created.status).toBe(202)
      const { campaign_id: id } = campaign(created)
      const path = `/campaigns/${id}`
      for (const suffix of ["", "/events", "/results", "/fates", "/remainder"]) {
        isRefused(yield* get(`${path}${suffix}`, theirs), 404, "CampaignNotFound")
      }
      isRefused(yield* call(path, { method: "DELETE", headers: theirs }), 404, "CampaignNotFound")
      isRefused(yield* call(`${path}/retry`, { method: "POST", headers: theirs }), 404, "CampaignNotFound")
      expect(page(yield* get("/campaigns", theirs)).campaigns).toEqual([])
      yield* seen(get, id, mine, ({ progress }) => (progress.jobs["fetched"] ?? 0) > 0)
      yield* kill("SIGKILL")
      yield* outcome

      const restarted = yield* launch({ ...env, CRUSTDATA_BASE_URL: sandbox.baseUrl })
      const port = Number(yield* restarted.until(/listening on http:\/\/[\d.]+:(\d+)/u))
      const look: Started["get"] = (where, headers) => ask(port, where, { headers })
      const done = yield* ended(look, id, mine)
      expect(done).toMatchObject({ state: "done", report: { complete: true } })
      expect((yield* jobsOf(sandbox)).toSorted()).toEqual([300, 300, 300, 300, 48])
      const joined = lines((yield* look(`${path}/results`, mine)).body.toString())
      expect(joined.map((line) => Number(JSON.parse(line).row))).toEqual(
        Array.from({ length: 1300 }, (_, at) => at + 1)
      )
      yield* restarted.kill("SIGTERM")
      const { code, stdout } = yield* Effect.timeout(restarted.outcome, "20 seconds")
      expect(code).toBe(143)
      for (const text of [contents(folder), stdout]) {
        expect(text).not.toContain(sandbox.apiKey)
        expect(text).not.toMatch(/X-Amz-Signature=[0-9a-f]/u)
      }
    }),
  300_000
)
