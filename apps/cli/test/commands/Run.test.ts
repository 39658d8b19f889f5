/** Campaigns through the built binary, against the sandbox: what is sent, what is told, and what survives. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { lines, type World, world } from "../Batchctl.js"

const submitted = { recordBytes: 300, pendingMs: 0, processingMs: 150, parts: 1 }

const state = ({ folder }: World) => join(folder, ".local", "state", "batchctl", "campaigns")

const report = (world: World, base = "out") =>
  JSON.parse(readFileSync(join(world.folder, `${base}.report.json`), "utf8"))

const table = (world: World, name: string) =>
  readFileSync(join(world.folder, name), "utf8")
    .split("\r\n")
    .filter((line) => line !== "")

const jobsOf = ({ sandbox }: World) =>
  Effect.promise(async () => {
    const answer = await fetch(`${sandbox.baseUrl}/batch?limit=100`, {
      headers: { authorization: `Bearer ${sandbox.apiKey}` }
    })
    const { jobs }: { jobs: ReadonlyArray<{ batch_id: string; identifier_count: number }> } = JSON.parse(
      await answer.text()
    )
    return jobs
  })

const people = (count: number) =>
  Array.from({ length: count }, (_, at) => {
    const row = at + 1
    if (row % 50 === 7) return `redacted${row}@acme.example`
    if (row % 50 === 9) return `unresolved${row}@acme.example`
    if (row % 50 === 11) return ` PERSON${row - 1}@acme.example `
    return row % 50 === 13 ? "nobody" : `person${row}@acme.example`
  })

const identify = ["run", "person", "identify", "--input", "people.csv", "--column", "email", "--as", "emails"]

it.scopedLive("accounts for every row, and does nothing when it is run again", () =>
  Effect.gen(function* () {
    const there = yield* world({ submitted, usageDelayMs: 0 })
    const rows = people(700).map((email, at) => `${at + 1},"Person, ${at + 1}",${email}`)
    writeFileSync(join(there.folder, "people.csv"), `id,name,email\n${rows.join("\n")}\n`)
    const command = [...identify, "-o", "out.jsonl.gz", "--yes"]

    const first = yield* there.run([...command, "--json"])
    expect(first.stderr).toContain("at most 672 credits; the account has 1,000,000")
    expect(first.code).toBe(0)
    const told = JSON.parse(first.stdout)
    expect(told).toEqual(report(there))
    expect(told).toMatchObject({
      rows: 700,
      unique: 672,
      fates: {
        matched: 644,
        not_found: 14,
        redacted: 14,
        rejected: 14,
        duplicate: 14,
        failed: 0,
        undecided: 0
      },
      records: 672,
      credits: { at_most: 672, spent: 644 },
      complete: true
    })
    expect(told.jobs.map(({ requested }: { requested: number }) => requested)).toEqual([300, 300, 72])

    const [header, ...fates] = table(there, "out.fates.csv")
    expect(header).toBe("row,identifier,fate,reason,batch_id,duplicate_of")
    expect(fates.map((line) => Number(line.split(",")[0]))).toEqual(rows.map((_, at) => at + 1))
    expect(fates[10]).toBe("11, PERSON10@acme.example ,duplicate,,,10")
    expect(fates[12]).toBe("13,nobody,rejected,it is no email address,,")
    const remainder = table(there, "out.remainder.csv")
    expect(remainder[0]).toBe("id,name,email")
    expect(remainder[1]).toBe('9,"Person, 9",unresolved9@acme.example')
    expect(remainder).toHaveLength(15)
    expect(remainder.join()).not.toContain("redacted")
    const records = lines(gunzipSync(readFileSync(join(there.folder, "out.jsonl.gz"))).toString())
    expect(records).toHaveLength(672)

    const asked = (yield* there.sandbox.requests).length
    const again = yield* there.run(command)
    expect(again.code).toBe(0)
    expect(again.stderr).toContain("was finished before; nothing was asked or sent")
    expect((yield* there.sandbox.requests).length).toBe(asked)

    // another output is another campaign, which may not write over what belongs to none
    writeFileSync(join(there.folder, "mine.csv"), "mine")
    const refused = yield* there.run([...identify, "-o", "mine.csv", "--yes"])
    expect(refused.code).toBe(9)
    expect(readFileSync(join(there.folder, "mine.csv"), "utf8")).toBe("mine")
    const listed = yield* there.run(["runs", "--json"])
    expect(lines(listed.stdout).map((line) => JSON.parse(line))).toMatchObject([
      { campaign: told.campaign, rows: 700, jobs: 3, kept: 3, finished: true }
    ])
  })
)

it.scopedLive("sends nothing that may cost too much, that nobody confirmed, or that cannot be read", () =>
  Effect.gen(function* () {
    const there = yield* world({ submitted, credits: 3 })
    writeFileSync(
      join(there.folder, "list.txt"),
      "a@acme.example\nb@acme.example\n\nc@acme.example\nd@acme.example\n"
    )
    const command = ["run", "person", "identify", "--as", "emails", "-o", "out.jsonl", "--input"]
    const refusals: ReadonlyArray<readonly [ReadonlyArray<string>, number, string]> = [
      [[...command, "list.txt"], 2, "the account has 3"],
      [[...command, "list.txt", "--max-credits", "2", "--yes"], 2, "2 are allowed"],
      [
        ["run", "person", "verify", "--input", "list.txt", "-o", "x.jsonl", "--max-credits", "2"],
        2,
        "no price"
      ],
      [[...command, "none.txt", "--yes"], 9, "none.txt"],
      [
        ["run", "person", "identify", "--input", "list.txt", "-o", "x"],
        2,
        "--as emails or --as business_emails"
      ],
      [["run", "company", "search", "--input", "list.txt", "-o", "x"], 2, "takes a query"],
      [["run", "compny", "enrich", "--input", "list.txt", "-o", "x"], 2, "did you mean company/enrich?"],
      [["run", "person", "identify", "--resume", "abc"], 2, "--resume takes a campaign as it was begun"],
      [["run", "--resume", "abc"], 2, "there is no campaign abc"]
    ]
    const outcomes = yield* Effect.forEach(refusals, ([args]) => there.run(args), { concurrency: 2 })
    for (const [at, { code, stderr }] of outcomes.entries()) {
      const [args, expected, words] = refusals[at] ?? [[], 0, ""]
      expect(`${args.join(" ")}: ${code} ${stderr}`).toContain(words)
      expect(code, args.join(" ")).toBe(expected)
    }
    const few = yield* there.run([...command, "-", "--quiet"], { shell: false })
    expect(few.code).toBe(2)
    expect((yield* there.sandbox.requests).filter(({ method }) => method === "POST")).toEqual([])
    expect(existsSync(join(there.folder, "out.jsonl"))).toBe(false)
    expect(readdirSync(state(there))).toEqual([])
  })
)

it.scopedLive("never sends twice, whenever it is killed, and settles what was lost on the way", () =>
  Effect.gen(function* () {
    const there = yield* world({ submitted: { ...submitted, processingMs: 400 }, usageDelayMs: 0 })
    writeFileSync(join(there.folder, "people.csv"), `email\n${people(900).join("\n")}\n`)
    // The first job is accepted and its answer cut off, the third is never seen by the API.
    yield* there.sandbox.script(
      { on: { server: "api", method: "POST" }, do: { drop: { by: "reset" } } },
      {
        on: { server: "api", method: "POST" },
        do: { respond: { status: 429, headers: { "retry-after": "0" }, body: "{}" } }
      }
    )
    const command = [...identify, "-o", "out.jsonl", "--join", "--yes", "--max-active", "2"]
    for (const after of [/submitted|found, it was accepted/, /completed/, /records here/, /joining/]) {
      const running = yield* there.start(command)
      yield* running.until(after)
      yield* running.kill("SIGKILL")
      yield* running.outcome
    }
    const last = yield* there.run(command)
    expect(`${last.code} ${last.stderr}`).toMatch(/^0/)
    const { fates, rows, unique } = report(there)
    expect(Object.values(fates).reduce((sum: number, one) => sum + Number(one), 0)).toBe(rows)
    const jobs = yield* jobsOf(there)
    expect(jobs.map(({ identifier_count }) => identifier_count).toSorted()).toEqual([264, 300, 300])
    expect(unique).toBe(864)
    const joined = lines(readFileSync(join(there.folder, "out.jsonl"), "utf8")).map((line) =>
      JSON.parse(line)
    )
    expect(joined.map(({ row }) => row)).toEqual(Array.from({ length: 900 }, (_, at) => at + 1))
    expect(joined[10]).toMatchObject({ fate: "duplicate", input: { email: " PERSON10@acme.example " } })
    expect(joined[10].record).toEqual(joined[9].record)
    expect(joined[12]).toEqual({ row: 13, input: { email: "nobody" }, fate: "rejected", record: null })
  })
)

it.scopedLive("carries the others to their end when a job fails, and submits it again on purpose only", () =>
  Effect.gen(function* () {
    const there = yield* world({
      submitted,
      usageDelayMs: 0,
      submits: [{ nth: 2, job: { ...submitted, outcome: "failed", errorMessage: "upstream trouble" } }]
    })
    // Three jobs of 300, since the second submit that arrives may be that of any of them.
    writeFileSync(join(there.folder, "people.csv"), `email\n${people(938).join("\n")}\n`)
    const command = [...identify, "-o", "out.csv", "--yes"]
    const first = yield* there.run(command)
    expect(first.code).toBe(4)
    expect(first.stderr).toContain("--retry-failed")
    expect(report(there).fates.failed).toBe(300)
    expect(table(there, "out.fates.csv").filter((line) => line.includes("upstream trouble"))).toHaveLength(
      300
    )
    expect(table(there, "out.remainder.csv").length).toBeGreaterThan(300)
    expect((yield* there.run(command)).code).toBe(4)
    expect(yield* jobsOf(there)).toHaveLength(3)
    const retried = yield* there.run([...command, "--retry-failed"])
    expect(`${retried.code} ${retried.stderr}`).toMatch(/^0/)
    expect(report(there)).toMatchObject({ complete: true, fates: { failed: 0 } })
    expect(yield* jobsOf(there)).toHaveLength(4)
  })
)

it.scopedLive("is one process at a time, ends at its deadline, and goes on by its name", () =>
  Effect.gen(function* () {
    const there = yield* world({ submitted: { ...submitted, processingMs: 3_600_000 } })
    writeFileSync(join(there.folder, "people.csv"), `email\n${people(20).join("\n")}\n`)
    const command = [...identify, "-o", "out.jsonl", "--yes"]
    const running = yield* there.start([...command, "--timeout", "60s"])
    yield* running.until(/submitted, batch/)
    const second = yield* there.run(command)
    expect(second.code).toBe(9)
    expect(second.stderr).toContain(`process ${running.process.pid} runs this campaign`)
    yield* running.kill("SIGINT")
    const interrupted = yield* running.outcome
    expect(interrupted.code).toBe(130)
    expect(interrupted.stderr).toContain("nothing is lost")
    const late = yield* there.run([...command, "--timeout", "100ms"])
    expect(late.code).toBe(5)
    const [name = ""] = readdirSync(state(there))
    expect(late.stderr).toContain(`batchctl run --resume ${name}`)
    const [job] = yield* jobsOf(there)
    yield* there.sandbox.job(job?.batch_id ?? "").complete
    const done = yield* there.run(["run", "--resume", name.slice(0, 6), "--yes"])
    expect(`${done.code} ${done.stderr}`).toMatch(/^0/)
    expect(yield* jobsOf(there)).toHaveLength(1)
  })
)
