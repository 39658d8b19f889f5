import { expect, it } from "@effect/vitest"
import { BatchError } from "@org/batch-core/BatchError"
import { Arbitrary, FastCheck } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ExitCode from "../../src/failure/ExitCode.js"

const page = readFileSync(fileURLToPath(new URL("../../../../docs/errors.md", import.meta.url)), "utf8")
const [ofCore = "", ofRetrievals = ""] = page.split("\n## Retrievals\n")

/** The failures that a text lists, with their exit codes and statuses. */
const rows = (text: string) =>
  [...text.matchAll(/^\| `(\w+)` .*\| (\d+) +\| ([\d]+)[\d, ]*\|$/gmu)].map(([, tag = "", code, status]) => ({
    tag,
    code: Number(code),
    status: Number(status)
  }))

it("docs/errors.md gives every failure its exit code", () => {
  const listed = rows(ofCore)
  const failures = FastCheck.sample(Arbitrary.make(BatchError), { numRuns: 500, seed: 1 })
  const actual = new Map(failures.map((error) => [error._tag, ExitCode.ofError(error)]))
  expect(actual.size).toBe(BatchError.members.length)
  expect(new Map(listed.map(({ code, tag }) => [tag, code]))).toEqual(actual)
})

it("docs/errors.md gives every refusal of the service that keeps retrievals its exit code", () => {
  const listed = rows(ofRetrievals)
  expect(listed).toHaveLength(5)
  expect(listed.map(({ code, tag }) => [tag, code])).toEqual(
    listed.map(({ status, tag }) => [tag, ExitCode.ofService(status, tag)])
  )
})
