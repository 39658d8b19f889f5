import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { lines, objects, world } from "../Batchctl.js"
import { type Answer, type Asked, refusal, start, wire } from "../FakeService.js"

const batchId = "01234567-89ab-4cde-8f01-23456789abcd"
const other = "11234567-89ab-4cde-8f01-23456789abcd"
const id = "11111111-2222-4333-8444-555555555555"
const token = "service-token-that-is-secret"

/** A world, and a service that its runs are pointed at. */
const served = (answer: (asked: Asked) => Answer) =>
  Effect.gen(function* () {
    const { run } = yield* world()
    const service = yield* start(answer)
    const env = { BATCH_SERVER_URL: `${service.url}/below/`, BATCH_SERVER_TOKEN: token }
    return { ...service, run: (...args: ReadonlyArray<string>) => run(args, { env }) }
  })

const idOf = (batch: unknown) => (batch === batchId ? id : id.replaceAll("1", "a"))

it.scopedLive("get --detach hands batches over, and prints the id of each alone on a line", () =>
  Effect.gen(function* () {
    const { asked, run } = yield* served(({ body }) => {
      const { batch_id: batch } = Object(body)
      return [202, wire(idOf(batch), { batch_id: batch })]
    })
    expect(yield* run("get", batchId, other, "--detach", "-o", "out/", "--format", "csv", "--force")).toEqual(
      {
        code: 0,
        stdout: `${id}\n${idOf(other)}\n`,
        stderr: ""
      }
    )
    const json = yield* run("get", "--detach", "--json", batchId, "-o", "s3://bucket/a/b.jsonl")
    expect(objects(json.stdout)).toEqual([wire(id)])
    yield* run("get", "--detach", batchId)
    yield* run("get", "--detach", batchId, "-o", "s3://bucket")
    yield* run("get", "--detach", batchId, "--notify", "https://app.example/told?of=it")
    expect(asked.map(({ body }) => body)).toEqual([
      { batch_id: batchId, destination: { type: "folder", path: "out/" }, format: "csv", replace: true },
      { batch_id: other, destination: { type: "folder", path: "out/" }, format: "csv", replace: true },
      { batch_id: batchId, destination: { type: "s3", bucket: "bucket", key: "a/b.jsonl" }, format: "jsonl" },
      { batch_id: batchId, destination: { type: "folder" }, format: "jsonl.gz" },
      {
        batch_id: batchId,
        destination: { type: "s3", bucket: "bucket", key: `${batchId}.jsonl.gz` },
        format: "jsonl.gz"
      },
      {
        batch_id: batchId,
        destination: { type: "folder" },
        format: "jsonl.gz",
        notify: { url: "https://app.example/told?of=it" }
      }
    ])
    expect(
      new Set(asked.map(({ authorization, method, url }) => `${method} ${url} ${authorization}`))
    ).toEqual(new Set([`POST /below/retrievals Bearer ${token}`]))
  })
)

it.scopedLive("get --detach refuses before it asks what the service cannot do: 2", () =>
  Effect.gen(function* () {
    const { asked, run } = yield* served(() => [202, wire(id)])
    const refused = [
      [["--parts", "-o", "out/"], "--parts is not for --detach"],
      [["-o", "-"], "not to -o -"],
      [["-o", "rows.parquet"], "no format for .parquet"],
      [["-o", "s3:///key"], "names no bucket"],
      [["--notify", "app.example"], "--notify is no address"],
      [["--notify", "ftp://app.example"], "--notify is no address"],
      [["--timeout", "1h"], "--timeout is not for --detach"],
      [["--input", "leads.csv"], "--input is not for --detach"],
      [["-o", "rows.csv", other], "is one file, but there are 2 batches"]
    ] as const
    for (const [args, detail] of refused) {
      const { code, stderr, stdout } = yield* run("get", "--detach", batchId, ...args)
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" })
      expect(stderr).toContain(detail)
    }
    const attended = yield* run("get", batchId, "--notify", "https://app.example")
    expect(attended).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("--notify is for --detach")
    })
    expect(asked).toEqual([])
  })
)

it.scopedLive("list shows a table or the service's own JSON, page by page, of what is asked for", () =>
  Effect.gen(function* () {
    const all = [
      wire(id),
      wire(idOf(other), { state: "failed", destination: { type: "s3", bucket: "b", key: "k" } })
    ]
    const { asked, run } = yield* served(({ url }) =>
      url.includes("cursor=")
        ? [200, { retrievals: all.slice(1), next_cursor: null, has_more: false }]
        : [
            200,
            {
              retrievals: url.includes("state=done") ? [] : all.slice(0, 1),
              next_cursor: "c",
              has_more: !url.includes("state=done")
            }
          ]
    )
    const table = yield* run("retrievals", "list")
    expect(table).toMatchObject({ code: 0, stderr: "" })
    expect(lines(table.stdout).map((line) => line.split(/ {2,}/u))).toEqual([
      ["RETRIEVAL", "STATE", "BATCH", "ROWS", "CHANGED", "DESTINATION"],
      [id, "waiting", batchId.slice(0, 8), "0", expect.stringContaining("ago"), "rows.jsonl.gz"],
      [idOf(other), "failed", batchId.slice(0, 8), "0", expect.stringContaining("ago"), "s3://b/k"]
    ])
    expect(objects((yield* run("retrievals", "list", "--all", "--json", "--batch", batchId)).stdout)).toEqual(
      all
    )
    const one = yield* run("retrievals", "list", "--limit", "1")
    expect(one.stderr).toContain("1 shown, there are more")
    expect(yield* run("retrievals", "list", "--state", "done")).toEqual({
      code: 0,
      stdout: "",
      stderr: "no retrievals\n"
    })
    expect(asked.map(({ url }) => url.replace("/below/retrievals?", ""))).toEqual([
      "limit=20",
      "limit=19&cursor=c",
      `batch_id=${batchId}&limit=100`,
      `batch_id=${batchId}&limit=100&cursor=c`,
      "limit=1",
      "state=done&limit=20"
    ])
  })
)

it.scopedLive("show, stop and retry tell how it stands", () =>
  Effect.gen(function* () {
    const { asked, run } = yield* served(({ method, url }) =>
      method === "DELETE"
        ? [200, wire(id, { state: "cancelled", next_look_at: null })]
        : url.endsWith("/retry")
          ? [202, wire(id, { attempt: 2 })]
          : [200, wire(id, { state: "failed", error: { type: "BatchFailed", message: "no luck" } })]
    )
    const shown = yield* run("retrievals", "show", id)
    expect(shown).toMatchObject({ code: 0, stderr: "" })
    expect(shown.stdout).toMatch(/^state +failed$/mu)
    expect(shown.stdout).toMatch(/^error +BatchFailed: no luck$/mu)
    expect((yield* run("retrievals", "stop", id)).stdout).toContain(`${id}  cancelled`)
    expect(objects((yield* run("retrievals", "retry", id, "--json")).stdout)).toEqual([
      wire(id, { attempt: 2 })
    ])
    expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET /below/retrievals/${id}`,
      `DELETE /below/retrievals/${id}`,
      `POST /below/retrievals/${id}/retry`
    ])
  })
)

it.scopedLive("watch ends with the code of the end, over a service that goes away for a moment", () =>
  Effect.gen(function* () {
    const script: Array<Answer> = [
      [200, wire(id)],
      [0],
      [200, wire(id, { state: "running" })],
      [
        200,
        wire(id, {
          state: "done",
          progress: { status: "completed", result_count: 3, bytes: 9, total_bytes: 9, records: 3 }
        })
      ]
    ]
    const { run } = yield* served(({ url }) => {
      if (url.endsWith(id)) return script.shift() ?? [500]
      const type = url.includes("/22") ? "BatchFailed" : url.includes("/33") ? "StorageError" : "Newer"
      return [200, wire(url.slice(-36), { state: "failed", error: { type, message: "no luck" } })]
    })
    const watched = yield* run("retrievals", "watch", id)
    expect(watched).toMatchObject({ code: 0, stdout: `${id}  done  3 rows in rows.jsonl.gz\n` })
    expect(lines(watched.stderr).map((line) => line.split(/ {2}/u)[1])).toEqual(["waiting", "running"])
    expect(script).toEqual([])
    const ends = yield* Effect.forEach(["22", "33", "44"], (start) =>
      Effect.map(run("retrievals", "watch", `${start}${id.slice(2)}`), ({ code }) => code)
    )
    expect(ends).toEqual([4, 9, 7])
  })
)

it.scopedLive("watch ends with 5 when its time is up", () =>
  Effect.gen(function* () {
    const { run } = yield* served(() => [200, wire(id)])
    const { code, stderr } = yield* run("retrievals", "watch", id, "--timeout", "1s", "--quiet")
    expect(code).toBe(5)
    expect(stderr).toContain("the time is up")
  })
)

it.scopedLive("what goes wrong has its code, a way out, and no secret", () =>
  Effect.gen(function* () {
    const refusals: Readonly<Record<string, Answer>> = {
      GET: refusal(404, "RetrievalNotFound", `there is none, ${token}`),
      DELETE: refusal(409, "RetrievalConflict", "it is done"),
      POST: refusal(401, "NotAuthorized", "no such token")
    }
    const { run, url } = yield* served(({ method }) => refusals[method] ?? [500])
    const missing = yield* run("retrievals", "show", id, "--json")
    expect(missing.code).toBe(8)
    expect(objects(missing.stdout)).toEqual([
      {
        error: {
          type: "RetrievalNotFound",
          message: "there is none, ***",
          detail: "there is none, ***",
          status: 404
        }
      }
    ])
    expect(missing.stderr).toContain("batchctl retrievals list")
    expect(yield* run("retrievals", "stop", id)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("it is done")
    })
    const refused = yield* run("get", "--detach", batchId)
    expect(refused).toMatchObject({ code: 3, stderr: expect.stringContaining("BATCH_SERVER_TOKEN") })
    const usage = [
      ["retrievals"],
      ["retrievals", "shew", id],
      ["retrievals", "show"],
      ["retrievals", "show", "x"],
      ["retrievals", "list", id]
    ]
    expect(yield* Effect.forEach(usage, (args) => Effect.map(run(...args), ({ code }) => code))).toEqual([
      2, 2, 2, 2, 2
    ])
    const { run: bare } = yield* world()
    const unset = yield* bare(["retrievals", "list"])
    expect(unset).toMatchObject({ code: 2, stderr: expect.stringContaining("BATCH_SERVER_URL is not set") })
    const misspelt = yield* bare(["retrievals", "list"], {
      env: { BATCH_SERVER_URL: url.replace("http:", "ftp:") }
    })
    expect(misspelt).toMatchObject({ code: 2, stderr: expect.stringContaining("BATCH_SERVER_URL") })
    const nobody = yield* bare(["retrievals", "stop", id], {
      env: { BATCH_SERVER_URL: "http://127.0.0.1:1" }
    })
    expect(nobody).toMatchObject({
      code: 6,
      stderr: expect.stringContaining("127.0.0.1:1 cannot be reached")
    })
  })
)
