import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { lines, objects, over, world } from "../Batchctl.js"

it.scopedLive("brings what is not there yet, tells what is dead, and has nothing to do the second time", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    const one = yield* sandbox.createJob({ ...over, records: 3 })
    const dead = yield* sandbox.createJob({ ...over, records: 4 })
    const other = yield* sandbox.createJob({ ...over, records: 5, entity: "person", action: "identify" })
    yield* sandbox.createJob({ stuck: true })
    yield* sandbox.job(dead).deleteObject()
    const dry = yield* run(["collect", "-o", "out", "--dry-run", "--json"])
    expect(dry.code).toBe(0)
    // They end within a millisecond of each other, so their order is not known.
    expect(
      objects(dry.stdout)
        .map(({ batch_id }) => batch_id)
        .toSorted()
    ).toEqual([one, dead, other].toSorted())
    expect(readdirSync(folder)).toEqual([])
    // In their first half second five days are left, to the second.
    yield* Effect.sleep("1 second")
    const kind = yield* run([
      "collect",
      "-o",
      "out",
      "--kind",
      "person/identify",
      "--since",
      "1h",
      "--dry-run"
    ])
    expect(kind.stdout).toMatch(
      new RegExp(
        `^${other} person identify, 5 rows, links die in 4 d 23 h: would be downloaded to out/${other}.jsonl.gz\n$`,
        "u"
      )
    )
    expect(kind.stderr).toContain("1 completed job: 1 to download in out")
    const first = yield* run(["collect", "-o", "out/"])
    expect(first.code).toBe(7)
    expect(lines(first.stdout)).toHaveLength(2)
    for (const id of [one, other]) expect(first.stdout).toContain(`${id} complete and verified: `)
    expect(first.stderr).toContain("error: the results file is not there")
    expect(first.stderr).toContain("next   batchctl status")
    expect(first.stderr).toContain("3 completed jobs: 2 downloaded, 1 dead in out/")
    expect(
      readdirSync(join(folder, "out"))
        .filter((name) => !name.startsWith(dead))
        .toSorted()
    ).toEqual([one, other].flatMap((id) => [`${id}.jsonl.gz`, `${id}.receipt.json`]).toSorted())
    const verified = yield* run(["verify", "out", "--json"])
    expect(objects(verified.stdout)).toMatchObject([{ verified: true }, { verified: true }])
    yield* sandbox.script({
      on: { server: "api", path: `^/batch/${dead}$` },
      times: -1,
      do: { respond: { status: 404, body: "{}" } }
    })
    const before = (yield* sandbox.requests).length
    const second = yield* run(["collect", "-o", "out", "--kind", "person/identify"])
    expect(second).toMatchObject({ code: 0, stdout: "" })
    expect(lines(second.stderr)).toEqual(["1 completed job: 1 here already in out"])
    expect((yield* sandbox.requests).length).toBe(before + 1)
    const all = yield* run(["collect", "-o", "out", "--json", "--quiet"])
    expect(all.code).toBe(8)
    expect(objects(all.stdout)).toHaveLength(3)
    expect(objects(all.stdout)).toContainEqual(
      expect.objectContaining({ batch_id: one, skipped: true, records: 3 })
    )
    expect(objects(all.stdout)).toContainEqual(
      expect.objectContaining({ batch_id: dead, error: expect.objectContaining({ type: "BatchNotFound" }) })
    )
    const csv = yield* run([
      "collect",
      "-o",
      "out",
      "--format",
      "csv",
      "--kind",
      "company/enrich",
      "--since",
      "1d"
    ])
    expect(csv.code).toBe(9)
    expect(csv.stderr).toContain("it is here as jsonl.gz already: csv needs a folder of its own")
    expect(csv.stderr).toContain("next   move it away, then batchctl collect -o out")
  })
)

it.scopedLive("what cannot be is a usage error before any request; links about to die are told", () =>
  Effect.gen(function* () {
    const { folder, run, sandbox } = yield* world()
    expect((yield* run(["collect"])).stderr).toContain("give one with -o")
    expect((yield* run(["collect", "-o", "x", "--since", "soon"])).code).toBe(2)
    expect((yield* run(["collect", "-o", "x", "--kind", "person/identfy"])).stderr).toContain(
      "did you mean person/identify?"
    )
    writeFileSync(join(folder, "file"), "")
    expect((yield* run(["collect", "-o", "file"])).code).toBe(9)
    expect(yield* sandbox.requests).toEqual([])
    const id = yield* sandbox.createJob({ ...over, records: 2 })
    // A little more than four and a half days ago, so that it is less than twelve hours however fast this runs.
    const completed_at = new Date(Date.now() - 4.5 * 86_400_000 - 15_000).toISOString()
    const job = {
      batch_id: id,
      status: "completed",
      entity: "company",
      action: "enrich",
      completed_at,
      result_count: 2
    }
    yield* sandbox.script({
      on: { server: "api", path: "^/batch$" },
      times: -1,
      do: {
        respond: { status: 200, body: JSON.stringify({ jobs: [job], has_more: false, next_cursor: null }) }
      }
    })
    const listed = yield* run(["list"])
    expect(lines(listed.stdout)[0]).toMatch(/ LINKS +CREATED$/u)
    expect(lines(listed.stdout)[1]).toMatch(/ 11 h 59 min/u)
    const { code, stderr } = yield* run(["collect", "-o", "out"])
    expect(code).toBe(0)
    expect(stderr).toContain(`warning: ${id} its links die in 11 h 59 min`)
  })
)
