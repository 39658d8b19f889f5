import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { readFileSync } from "node:fs"
import * as Fault from "../src/Fault.js"
import { JobAction, JobSpec } from "../src/JobSpec.js"
import * as Sandbox from "../src/Sandbox.js"

const text = readFileSync(new URL("../../../docs/sandbox.md", import.meta.url), "utf8")

const section = (title: string): string => text.split(`\n## ${title}\n`)[1]?.split("\n## ")[0] ?? ""

/** The words in code of the first column of tables. */
const named = (tables: string): ReadonlyArray<string> =>
  [...tables.matchAll(/^\| (`.*?) +\|/gmu)].flatMap(([, cell = ""]) =>
    [...cell.matchAll(/`(\w+)/gu)].map(([, word = ""]) => word)
  )

describe("docs/sandbox.md", () => {
  it("names every property of a job, and no other", () =>
    expect(named(section("Jobs")).toSorted()).toEqual(Object.keys(JobSpec.fields).toSorted()))

  it("names every property of a rule, and no other", () =>
    expect(named(section("Faults")).toSorted()).toEqual(
      ["on", "do", ...Object.keys(Fault.Match.fields), ...Object.keys(Fault.Effects.fields)].toSorted()
    ))

  it.scoped("names options of the account that there are", () =>
    Effect.gen(function* () {
      const options = named(section("The account").split("\n| Option")[1] ?? "")
      const refused = yield* Effect.flip(
        Sandbox.start(Object.fromEntries(options.map((name) => [name, "?"])))
      )
      expect(options.length).toBeGreaterThan(5)
      for (const name of options) expect(refused.message).toContain(`${name}: Expected`)
    })
  )

  it("shows every action on a job, as it is written", () => {
    const shown = [...section("Jobs").matchAll(/`(\{"action".*?\})`/gu)].map(([, json = ""]): unknown =>
      JSON.parse(json)
    )
    expect(shown.map((action) => Schema.decodeUnknownSync(JobAction)(action).action)).toEqual(
      JobAction.members.map(({ fields }) => fields.action.literals[0])
    )
  })

  it.scopedLive("its commands work, as they stand there", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* Sandbox.start()
      const commands = [
        ...section("Control over HTTP").matchAll(
          /^curl -s (?:-X (\w+) )?http:\/\/127\.0\.0\.1:8788(\S+)(?: -d '([^']*)')?$/gmu
        )
      ]
      expect(commands).toHaveLength(section("Control over HTTP").match(/^curl/gmu)?.length ?? 0)
      const answers = yield* Effect.forEach(commands, ([, method, path = "", body]) =>
        Effect.promise(async () => {
          const answer = await fetch(`${baseUrl}${path}`, {
            method: method ?? (body === undefined ? "GET" : "POST"),
            ...(body === undefined ? {} : { body })
          })
          return { status: answer.status, body: await answer.text() }
        })
      )
      expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201, 201, 201, 201, 200, 200])
      expect(JSON.parse(answers[7]?.body ?? "")).toEqual([
        { id: "fault-1", consumed: 0, expected: 1 },
        { id: "out", consumed: 0, expected: 3 },
        { id: "slow", consumed: 0, expected: 1 },
        { id: "fault-4", consumed: 0, expected: "forever" },
        { id: "fault-5", consumed: 0, expected: 1 },
        { id: "fault-6", consumed: 0, expected: 1 }
      ])
    })
  )
})
