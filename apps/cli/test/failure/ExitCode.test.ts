import { expect, it } from "@effect/vitest"
import { BatchError } from "@org/batch-core/BatchError"
import { Arbitrary, FastCheck } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as ExitCode from "../../src/failure/ExitCode.js"

it("docs/errors.md gives every failure its exit code", () => {
  const text = readFileSync(fileURLToPath(new URL("../../../../docs/errors.md", import.meta.url)), "utf8")
  const listed = [...text.matchAll(/^\| `(\w+)` .*\| (\d+) +\| [\d, ]+\|$/gmu)].map(
    ([, tag = "", code]): [string, number] => [tag, Number(code)]
  )
  const failures = FastCheck.sample(Arbitrary.make(BatchError), { numRuns: 500, seed: 1 })
  const actual = new Map(failures.map((error) => [error._tag, ExitCode.ofError(error)]))
  expect(actual.size).toBe(BatchError.members.length)
  expect(new Map(listed)).toEqual(actual)
})
