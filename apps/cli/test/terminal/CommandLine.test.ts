import { expect, it } from "@effect/vitest"
import * as CommandLine from "../../src/terminal/CommandLine.js"

const valued = () => new Set(["-o", "--output", "--columns", "--format", "--timeout"])

const typed = {
  valued,
  argv: ["get", "a", "-o", "my rows/", "b", "--json", "--timeout=2h"]
}

it("repeats a command line so that a shell can read it", () => {
  expect(CommandLine.again(typed)).toBe("batchctl get a b -o 'my rows/' --json --timeout=2h")
  expect(CommandLine.again({ valued, argv: ["get", "a", "-o", "-"] })).toBe("batchctl get a -o -")
  expect(CommandLine.command("get", "it's")).toBe(String.raw`batchctl get 'it'\''s'`)
  expect(CommandLine.again({ valued, argv: [] })).toBe("batchctl --help")
})

it("for one of several batches, under another verb, with more flags", () => {
  expect(CommandLine.again(typed, { ids: ["b"], verb: "wait", add: ["--force", "--json"] })).toBe(
    "batchctl wait b -o 'my rows/' --json --timeout=2h --force"
  )
})

it("without some flags and their values", () => {
  const table = { valued, argv: ["get", "a", "--columns", "id", "-o", "rows.csv", "--format=csv", "--quiet"] }
  const without = ["--format", "--columns"]
  expect(CommandLine.again(table, { without, add: ["--format", "jsonl"] })).toBe(
    "batchctl get a -o rows.csv --quiet --format jsonl"
  )
})
