import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import * as Client from "../src/index.js"
import * as Upstream from "./Upstream.js"
import { all, rejection } from "./Upstream.js"

let upstream: Awaited<ReturnType<typeof Upstream.start>>
let folder = ""

beforeAll(async () => {
  folder = await Upstream.emptyFolder()
  upstream = await Upstream.start({ credits: 100_000, maxActiveJobs: 100, usageDelayMs: 0 })
})

afterEach(() => upstream.reset())

afterAll(async () => {
  await upstream.stop()
  await rm(folder, { recursive: true, force: true })
})

const submits = async () => (await upstream.requests()).filter(({ method }) => method === "POST").length

describe("run", () => {
  it("brings a list to one result with a fate for each row, and does nothing when it is run again", async () => {
    const path = join(folder, "leads.csv")
    await writeFile(path, "name,website\nA,a.com\nB,b.com\nA,a.com\nC,no domain at all\n")
    const progress: Array<Client.CampaignProgress> = []
    const options: Client.CampaignOptions = {
      input: { path, column: "website" },
      as: "domains",
      fields: ["basic_info"],
      output: join(folder, "companies.jsonl"),
      folder: join(folder, "campaigns"),
      maxCredits: 1000,
      timeout: "5m",
      onProgress: (now) => void progress.push(now)
    }
    const report = await upstream.client().run("company/enrich", options)
    expect(report).toMatchObject({ kind: "company/enrich", rows: 4, complete: true })
    expect(Object.values(report.fates).reduce((sum, rows) => sum + rows)).toBe(4)
    expect(report.fates).toMatchObject({ duplicate: 1, failed: 0, undecided: 0 })
    expect(report.jobs).toHaveLength(1)
    expect(report.credits.atMost).toBeGreaterThan(0)
    expect(progress.at(-1)).toMatchObject({ campaign: report.campaign, jobs: 1, submitted: 1, kept: 1 })
    expect((await readdir(folder)).filter((name) => name.startsWith("companies")).toSorted()).toEqual([
      "companies.fates.csv",
      "companies.jsonl",
      "companies.remainder.csv",
      "companies.report.json"
    ])
    const before = await submits()
    expect(await upstream.client().run("company/enrich", options)).toEqual(report)
    expect(await submits()).toBe(before)
  })

  it("takes bytes in place of a file, and keeps its state where batchctl does", async () => {
    const state = process.env["XDG_STATE_HOME"]
    process.env["XDG_STATE_HOME"] = join(folder, "state")
    try {
      const bytes = async function* () {
        yield* ["x.com\ny", ".com\n"].map((text) => new TextEncoder().encode(text))
      }
      const output = join(folder, "bytes.jsonl.gz")
      const report = await upstream
        .client()
        .run("company/enrich", { input: { path: "-", bytes: bytes() }, as: "domains", output })
      expect(report).toMatchObject({ rows: 2, unique: 2, output })
      expect(await readdir(join(folder, "state/batchctl/campaigns"))).toEqual([report.campaign])
    } finally {
      if (state === undefined) delete process.env["XDG_STATE_HOME"]
      else process.env["XDG_STATE_HOME"] = state
    }
  })

  it("refuses what would cost too much, what cannot be meant and what is not there, and sends nothing", async () => {
    const client = upstream.client()
    const before = await submits()
    const input = { path: "list", bytes: new TextEncoder().encode("p.com\nq.com\n") }
    const options = {
      input,
      as: "domains",
      folder: join(folder, "refused"),
      output: join(folder, "refused.jsonl")
    }
    const failures = [
      [
        { ...options, maxCredits: 1 },
        { _tag: "CampaignRefused", reason: "MaxCredits" }
      ],
      [
        { ...options, maxActive: 0 },
        { _tag: "InvalidArgument", argument: "maxActive" }
      ],
      [
        { ...options, timeout: "soon" },
        { _tag: "InvalidArgument", argument: "timeout" }
      ],
      [
        { ...options, as: "emails" },
        { _tag: "RequestInvalid", property: "emails" }
      ],
      [
        { ...options, input: { path: join(folder, "none.csv") } },
        { _tag: "StorageError", reason: "Unreadable" }
      ]
    ] as const
    for (const [one, fields] of failures) {
      const failure = await rejection(client.run("company/enrich", one))
      expect(failure).toBeInstanceOf(Client.BatchError)
      expect(failure).toMatchObject(fields)
    }
    const reason = new Error("enough")
    const aborted = client.run("company/enrich", { ...options, onProgress: () => Promise.reject(reason) })
    expect(await rejection(aborted)).toBe(reason)
    expect(await submits()).toBe(before)
  })
})

describe("collect", () => {
  it("brings what is completed and not there yet; one that fails does not keep the others", async () => {
    const client = upstream.client({ transfer: { settle: 0, retries: 0 } })
    const [since, results] = [new Date(Date.now() - 1000), join(folder, "results")]
    await mkdir(results)
    const ids = [await upstream.createJob({ records: 3 }), await upstream.createJob({ records: 4 })]
    const byId = (found: ReadonlyArray<Client.Collected>) =>
      Object.fromEntries(found.map((one) => [one.batch.batchId, one]))
    const due = byId(await all(client.collect({ folder: results, since, dryRun: true })))
    expect(ids.map((id) => due[id])).toMatchObject(
      ids.map((id) => ({ _tag: "Due", output: join(results, `${id}.jsonl.gz`) }))
    )
    await writeFile(join(results, `${ids[1]}.jsonl.gz`), "not ours")
    const found = byId(await all(client.collect({ folder: results, since })))
    expect(found[ids[0] ?? ""]).toMatchObject({ _tag: "Delivered", receipt: { records: 3 } })
    expect(found[ids[1] ?? ""]).toMatchObject({
      _tag: "Failed",
      error: { _tag: "StorageError", reason: "Exists" }
    })
    expect(await readFile(join(results, `${ids[1]}.jsonl.gz`), "utf8")).toBe("not ours")
    const again = byId(await all(client.collect({ folder: results, since })))
    expect(again[ids[0] ?? ""]).toMatchObject({ _tag: "Present", receipt: { records: 3 } })
    expect(await all(client.collect({ folder: results, kind: "person/verify" }))).toEqual([])
    expect(await rejection(all(client.collect({ folder: "" })))).toMatchObject({ argument: "folder" })
  })
})
