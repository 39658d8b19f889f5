import { expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Fault, Sandbox } from "../src/index.js"
import * as Http from "./Http.js"

const Created = Schema.Struct({ batch_id: Schema.UUID })
const Reports = Schema.Array(Fault.Report)

it.scoped("seeds jobs and changes them", () =>
  Effect.gen(function* () {
    const { baseUrl, control } = yield* started
    const created = yield* control("jobs", { body: { records: 3, stuck: true, pendingMs: 0 } })
    expect(created.status).toBe(201)
    const { batch_id } = yield* Http.json(Created)(created)
    expect(yield* Http.status(baseUrl, batch_id)).toMatchObject({ status: "processing" })
    expect((yield* control(`jobs/${batch_id}`, { body: { action: "complete" } })).status).toBe(200)
    const { download_url = "" } = yield* Http.status(baseUrl, batch_id)
    expect((yield* Http.send(download_url)).status).toBe(200)
    yield* control(`jobs/${batch_id}`, { body: { action: "expireLinks" } })
    expect((yield* Http.send(download_url)).status).toBe(403)
    expect(
      (yield* control("jobs/01234567-89ab-4cde-8f01-23456789abcd", { body: { action: "complete" } })).status
    ).toBe(404)
  })
)

it.scoped("says what submitted jobs are to be, and what the balance is", () =>
  Effect.gen(function* () {
    const { baseUrl, control } = yield* started
    expect((yield* control("account")).body.toString()).toBe('{"credits":1000000}')
    expect((yield* control("account", { body: { credits: 2.5 } })).status).toBe(200)
    expect((yield* control("account")).body.toString()).toBe('{"credits":2.5}')
    const rule = { nth: 1, job: { pendingMs: 0, processingMs: 0, outcome: "failed" } }
    expect((yield* control("submits", { body: rule })).status).toBe(201)
    const submitted = yield* Http.send(`${baseUrl}/batch/company/enrich`, {
      headers: { ...Http.bearer, "x-api-version": "2025-11-01" },
      body: { domains: ["a.example"] }
    })
    const { batch_id } = yield* Http.json(Created)(submitted)
    expect(yield* Http.status(baseUrl, batch_id)).toMatchObject({ status: "failed" })
  })
)

it.scoped("takes a fault script, reports on it, clears it", () =>
  Effect.gen(function* () {
    const { baseUrl, control } = yield* started
    const one = { id: "down", on: { server: "api" }, do: { respond: { status: 503 } } }
    expect((yield* control("faults", { body: one })).body.toString()).toBe('{"ids":["down"]}')
    yield* control("faults", { body: [{ ...one, id: "again" }] })
    expect((yield* Http.send(`${baseUrl}/batch`)).status).toBe(503)
    const reports = Effect.flatMap(control("faults"), Http.json(Reports))
    expect(yield* reports).toEqual([
      { id: "down", consumed: 1, expected: 1 },
      { id: "again", consumed: 0, expected: 1 }
    ])
    expect((yield* control("faults", { method: "DELETE" })).status).toBe(200)
    expect(yield* reports).toEqual([])
  })
)

it.scoped("shows requests, its own not among them, without the key", () =>
  Effect.gen(function* () {
    const { baseUrl, control } = yield* started
    yield* Http.send(`${baseUrl}/batch?limit=3`, { headers: Http.bearer })
    const { body } = yield* control("requests")
    const records: unknown = JSON.parse(body.toString())
    expect(records).toEqual([
      expect.objectContaining({ server: "api", method: "GET", path: "/batch", query: "limit=3", status: 200 })
    ])
    expect(body.toString()).not.toContain("sandbox-key")
  })
)

it.scoped.each([
  ["jobs", { recordz: 1 }, "recordz"],
  ["jobs", { records: -1 }, "records"],
  ["submits", { nth: 1, job: { records: 1 } }, "records"],
  ["account", { credits: -1 }, "credits"],
  ["faults", [{ on: { server: "api" }, do: { cutt: {} } }], "cutt"],
  ["faults", { on: { server: "ftp" }, do: {} }, "server"],
  ["faults", "{", "JSON"]
])("%s: %j is refused with a reason", ([path = "", body, word]) =>
  Effect.gen(function* () {
    const { control } = yield* started
    const outcome = yield* control(path.toString(), { body })
    const { error } = yield* Http.json(Http.Failure)(outcome)
    expect([outcome.status, error.message]).toEqual([400, expect.stringContaining(String(word))])
    expect(error.message.length).toBeLessThan(600)
    expect(error.message).not.toContain("undefined")
  })
)

it.scoped("other paths are 404", () =>
  Effect.gen(function* () {
    const { control } = yield* started
    expect((yield* control("nothing")).status).toBe(404)
  })
)

const started = Effect.map(Sandbox.start(), ({ baseUrl }) => ({
  baseUrl,
  control: (path: string, options?: Http.Options) => Http.send(`${baseUrl}/__sandbox/${path}`, options)
}))
