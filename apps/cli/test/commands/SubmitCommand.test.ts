import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, objects, type World, world } from "../Batchctl.js"

const uuid = /^[0-9a-f]{8}-[0-9a-f-]{27}\n$/u

/** The entries of all submits that are recorded, each file's in its order. */
const recorded = (folder: string): ReadonlyArray<ReadonlyArray<Record<string, unknown>>> => {
  const place = join(folder, ".local/state/batchctl/submits")
  if (!existsSync(place)) return []
  const names = readdirSync(place).filter((name) => name.endsWith(".jsonl"))
  return names.toSorted().map((name) => objects(readFileSync(join(place, name), "utf8")))
}

const posts = ({ sandbox }: World) =>
  Effect.map(sandbox.requests, (all) => all.filter(({ method }) => method === "POST"))

const enrich = ["submit", "company", "enrich", "--domains"]

it.scopedLive("prints the batch id alone, once, and has it on the disk before", () =>
  Effect.gen(function* () {
    const made = yield* world()
    const { code, stderr, stdout } = yield* made.run([
      ...enrich,
      "acme.com, Example.org,acme.com",
      "--domains",
      "ACME.com,third.net",
      "--fields",
      "basic_info,headcount"
    ])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toMatch(uuid)
    expect(stderr).toContain("note: 2 duplicates left out")
    expect(stderr).toContain("submitted: company enrich, 3 inputs, at most 6 credits")
    expect(stderr).toContain(`next   batchctl get ${stdout.trim()}`)
    expect(recorded(made.folder)).toMatchObject([
      [
        { _tag: "sending", chunk: 0 },
        { _tag: "sent", chunk: 0, batch_id: stdout.trim(), request_id: expect.any(String) }
      ]
    ])
    expect(yield* posts(made)).toHaveLength(1)
    const json = yield* made.run([
      "submit",
      "job",
      "search",
      "--crustdata-company-ids",
      "7,8",
      "--json",
      "-q"
    ])
    expect(json).toMatchObject({ code: 0, stderr: "" })
    expect(objects(json.stdout)).toMatchObject([{ status: "pending", entity: "job", action: "search" }])
    const got = yield* made.run(["status", stdout.trim(), "--json"])
    expect(objects(got.stdout)).toMatchObject([{ batch_id: stdout.trim(), identifier_count: 3 }])
  })
)

it.scopedLive(
  "--dry-run prints the request and its price, and asks nobody, whatever the inputs come from",
  () =>
    Effect.gen(function* () {
      const made = yield* world()
      const { folder, run, shell } = made
      writeFileSync(join(folder, "leads.csv"), `who,site\n"A, Inc.",acme.com\nB,\nC,example.org\n`)
      writeFileSync(join(folder, "rows.jsonl"), `{"a":{"url":"https://www.linkedin.com/in/x"}}\n`)
      writeFileSync(join(folder, "body.json"), `{"limit":5}`)
      const body = (line: string) =>
        Effect.map(shell(`$B submit ${line} --dry-run`), ({ code, stderr, stdout }) => {
          expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" })
          return { request: objects(stdout)[0], stderr }
        })
      const csv = yield* body("company enrich --input leads.csv --column site --as domains --chunk-size 100")
      expect(csv.request).toEqual({ domains: ["acme.com", "example.org"], chunk_size: 100 })
      expect(csv.stderr).toContain("note: 1 empty row left out")
      expect(csv.stderr).toContain("dry run: company enrich, 2 inputs, at most 4 credits; nothing was sent")
      const names = yield* body(`company enrich --names 'Acme, Inc.' --names Example`)
      expect(names.request).toEqual({ names: ["Acme, Inc.", "Example"] })
      const field = yield* body(
        "person enrich --input rows.jsonl --column a.url --as professional-network-profile-urls"
      )
      expect(field.request).toEqual({ professional_network_profile_urls: ["https://www.linkedin.com/in/x"] })
      const piped = yield* shell(
        `printf 'a@acme.com\\nb@acme.com\\n' | $B submit person identify --input - --as emails --webhook-url https://hook.example/x --dry-run --quiet`
      )
      expect(piped.stderr).toBe("")
      expect(objects(piped.stdout)).toEqual([
        { emails: ["a@acme.com", "b@acme.com"], webhook_url: "https://hook.example/x" }
      ])
      const both = yield* body("social-post enrich-live --body body.json --company-domains acme.com")
      expect(both.request).toEqual({ limit: 5, company_domains: ["acme.com"] })
      expect(both.stderr).toContain("for a price that is not published")
      const search = `{"filters":{"op":"and","conditions":[]}}`
      const query = yield* shell(
        `echo '${search}' | $B submit company search --body - --max-results 50 --dry-run`
      )
      expect(objects(query.stdout)).toEqual([{ ...JSON.parse(search), max_results: 50 }])
      expect(query.stderr).toContain("at most 50 records, at most 1.5 credits")
      expect(yield* made.sandbox.requests).toEqual([])
      expect(recorded(folder)).toEqual([])
      expect(
        (yield* run([...enrich, "a.com", "--dry-run"], { env: { CRUSTDATA_API_KEY: undefined } })).code
      ).toBe(0)
    })
)

it.scopedLive("what cannot be sent is a usage error that names the way out, and nothing is sent", () =>
  Effect.gen(function* () {
    const made = yield* world()
    writeFileSync(join(made.folder, "leads.csv"), "website\nacme.com\nnot a domain\n")
    writeFileSync(
      join(made.folder, "many.txt"),
      Array.from({ length: 11 }, (_, at) => `c${at}.com\n`).join("")
    )
    const profiles = Array.from({ length: 11 }, (_, at) => `https://www.linkedin.com/in/p${at}`).join(",")
    const wrong = (line: string, ...texts: ReadonlyArray<string>) =>
      Effect.map(made.shell(`$B submit ${line}`), ({ code, stderr, stdout }) => {
        expect({ line, code, stdout }).toEqual({ line, code: 2, stdout: "" })
        for (const text of texts) expect(stderr, line).toContain(text)
      })
    yield* wrong("", "batchctl submit needs <entity> <action>")
    yield* wrong("company enrich more --domains a.com", "takes <entity> <action>, but there is more")
    yield* wrong(
      "company enrch --domains a.com",
      "did you mean company enrich?",
      "next   batchctl submit company enrich --domains a.com"
    )
    yield* wrong("company fire", "company has enrich, search and search-live")
    yield* wrong(
      "person enrich --domains a.com",
      "--domains is no input of person enrich",
      "--business-emails"
    )
    yield* wrong(
      "company enrich --max-results 5 --domains a.com",
      "--max-results is no flag of",
      "--chunk-size"
    )
    yield* wrong("company enrich", "company enrich needs inputs: --names, --domains,")
    yield* wrong("company search", "company search needs a query: --body")
    yield* wrong("company enrich --domains a.com --names A", "--names and --domains")
    yield* wrong("company enrich --domains https://a.com", `--domains "https://a.com": it is a URL`)
    yield* wrong("company enrich --input leads.csv --as domains", "website")
    yield* wrong("company enrich --input leads.csv --column website", "say with --as which of")
    yield* wrong("company enrich --input leads.csv --column websit --as domains", "did you mean website?")
    yield* wrong("company enrich --input leads.csv --column website --as domains", "row 2", "it is no domain")
    yield* wrong("company enrich --column website", "--column goes with --input")
    yield* wrong(
      `person verify --professional-network-profile-urls ${profiles}`,
      "at most 10",
      "batchctl run"
    )
    yield* wrong(
      "company enrich --domains a.com -o rows.csv",
      "--output is about the results: it goes with --wait"
    )
    yield* wrong("company enrich --domains a.com --wait -o -", "both want standard output")
    expect(yield* made.sandbox.requests).toEqual([])
    expect(recorded(made.folder)).toEqual([])
  })
)

it.scopedLive("--wait goes on as get does, even while the API does not know the job yet", () =>
  Effect.gen(function* () {
    const made = yield* world({ submitted: { visibleAfterMs: 400, pendingMs: 0, processingMs: 500 } })
    const { folder, run } = made
    const done = yield* run([...enrich, "acme.com,x.invalid", "--wait", "-o", "rows.jsonl", "--receipt"])
    expect({ code: done.code, stderr: done.stderr }).toMatchObject({ code: 0 })
    expect(done.stdout).toMatch(uuid)
    expect(objects(readFileSync(join(folder, "rows.jsonl"), "utf8"))).toHaveLength(1)
    expect(existsSync(join(folder, "rows.jsonl.receipt.json"))).toBe(true)
    // What is local is checked before a credit is spent.
    const there = yield* run([...enrich, "acme.com", "--wait", "-o", "rows.jsonl"])
    expect(there).toMatchObject({ code: 9, stdout: "" })
    expect(yield* posts(made)).toHaveLength(1)
    yield* made.sandbox.onSubmit({ nth: 1, job: { stuck: true, visibleAfterMs: 0 } })
    const late = yield* run([...enrich, "acme.com", "--wait", "--timeout", "2s", "-o", "out/", "--json"])
    const [answer, failure] = objects(late.stdout)
    expect(late.code).toBe(5)
    expect(failure).toMatchObject({ batch_id: answer?.["batch_id"], error: { type: "WaitTimeout" } })
    expect(late.stderr).not.toContain("next   batchctl submit")
    expect(late.stderr).toContain(
      `batchctl get ${String(answer?.["batch_id"])} --timeout 2s --output out/ --json`
    )
  })
)

it.scopedLive("an answer that was lost is told, looked for and adopted; the job is never sent twice", () =>
  Effect.gen(function* () {
    const made = yield* world({ usageDelayMs: 0 })
    yield* made.sandbox.script({ on: { server: "api", method: "POST" }, do: { drop: { by: "reset" } } })
    const { code, stderr, stdout } = yield* made.run([...enrich, "acme.com"])
    expect({ code, stderr }).toMatchObject({ code: 0 })
    expect(stdout).toMatch(uuid)
    expect(stderr).toContain("warning: the answer of the API was lost")
    expect(recorded(made.folder)).toMatchObject([[{ _tag: "sending" }, { _tag: "sent", adopted: true }]])
    expect(yield* posts(made)).toHaveLength(1)
    // The job of that ledger is nobody else's: the next one is not taken for it.
    yield* made.sandbox.script(
      { on: { server: "api", method: "POST" }, do: { drop: { by: "reset" }, unprocessed: true } },
      { on: { server: "api", path: "^/account/usage/" }, times: -1, do: { respond: { status: 503 } } }
    )
    const running = yield* made.start([...enrich, "acme.com", "--json"])
    yield* running.until(/the answer of the API was lost/u)
    yield* Effect.sleep("4 seconds")
    yield* running.kill("SIGINT")
    const ended = yield* running.outcome
    expect(ended).toMatchObject({ code: 130, stdout: "" })
    expect(ended.stderr).toContain(
      "interrupted: the API may have taken the job (company enrich) all the same"
    )
    expect(ended.stderr).toContain("batchctl list shows whether there is such a job")
    expect(recorded(made.folder)).toHaveLength(2)
    expect(recorded(made.folder)).toContainEqual([expect.objectContaining({ _tag: "sending" })])
    expect(yield* posts(made)).toHaveLength(2)
  })
)

it.scopedLive("a refusal is recorded and has the API's words; without a state folder nothing is sent", () =>
  Effect.gen(function* () {
    const made = yield* world({ credits: 1 })
    const { folder, run } = made
    const dear = yield* run([...enrich, "acme.com", "--fields", "basic_inf"])
    expect(dear).toMatchObject({ code: 2, stdout: "" })
    expect(dear.stderr).toContain("warning: it may cost 2 credits, and the balance is 1")
    expect(dear.stderr).toContain("basic_info")
    expect(dear.stderr).toMatch(
      /next {3}correct the request; batchctl submit company enrich .*--dry-run shows it/u
    )
    expect(recorded(folder)).toMatchObject([[{ _tag: "sending" }, { _tag: "refused" }]])
    const before = (yield* posts(made)).length
    mkdirSync(join(folder, "locked"))
    writeFileSync(join(folder, "file"), "")
    for (const place of ["file", "locked"]) {
      chmodSync(join(folder, "locked"), 0o500)
      if (place === "locked" && process.getuid?.() === 0) continue
      const refused = yield* run([...enrich, "acme.com"], { env: { XDG_STATE_HOME: join(folder, place) } })
      expect(refused, place).toMatchObject({ code: 9, stdout: "" })
      expect(refused.stderr, place).toContain("XDG_STATE_HOME")
    }
    chmodSync(join(folder, "locked"), 0o700)
    expect(yield* posts(made)).toHaveLength(before)
    expect(lines(dear.stderr).length).toBeGreaterThan(1)
  })
)
