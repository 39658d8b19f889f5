import { expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as BatchError from "../src/model/BatchError.js"

it("docs/errors.md lists every failure, in the order of the code", () => {
  const page = readFileSync(fileURLToPath(new URL("../../../docs/errors.md", import.meta.url)), "utf8")
  const [text = ""] = page.split("\n## Retrievals\n")
  const listed = [...text.matchAll(/^\| `(\w+)`/gmu)].map(([, tag]) => tag)
  expect(listed).toEqual(BatchError.BatchError.members.map(({ _tag }) => _tag))
})
