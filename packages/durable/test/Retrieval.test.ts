import { BatchId } from "@org/batch-core/Batch"
import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { idOf, type Request, resolve } from "../src/Retrieval.js"

const batchId = Schema.decodeSync(BatchId)("01234567-89AB-4cde-8f01-23456789abcd")
const folder = (path?: string, format?: Request["format"]): Request => ({
  batchId,
  destination: path === undefined ? { type: "folder" } : { type: "folder", path },
  format
})
const id = (request: Request, account = "a") => idOf(account, request.batchId, resolve(request))

describe("what a request leaves out", () => {
  it("is filled in", () => {
    const named = "01234567-89ab-4cde-8f01-23456789abcd"
    expect(resolve(folder())).toEqual({
      destination: { type: "folder", path: `${named}.jsonl.gz` },
      format: "jsonl.gz"
    })
    expect(resolve(folder("./x//y/", "csv")).destination).toEqual({
      type: "folder",
      path: `x/y/${named}.csv`
    })
    expect(resolve(folder("x.csv")).format).toBe("csv")
    expect(resolve(folder("x.csv", "jsonl")).format).toBe("jsonl")
    expect(resolve(folder("x.bin")).format).toBe("jsonl.gz")
    const key = resolve({ batchId, destination: { type: "s3", bucket: "b", key: "k/" }, format: "jsonl" })
    expect(key.destination).toEqual({ type: "s3", bucket: "b", key: `k/${named}.jsonl` })
  })
})

describe("the id", () => {
  it("is that of account, batch, destination and format, however they are written", () => {
    const lower = Schema.decodeSync(BatchId)(batchId.toLowerCase())
    expect(id(folder())).toBe(id(folder("./", "jsonl.gz")))
    expect(id(folder("x"))).toBe(id({ ...folder("x"), batchId: lower }))
    expect(id({ ...folder("x"), notify: { url: "https://a.example" }, replace: true })).toBe(id(folder("x")))
    const s3 = (more: object): Request => ({
      batchId,
      destination: { type: "s3", bucket: "b", key: "k", ...more }
    })
    const ids = [
      id(folder("x")),
      id(folder("x"), "b"),
      id(folder("y")),
      id(folder("x", "csv")),
      id(s3({})),
      id(s3({ region: "r" })),
      id(s3({ endpoint: "https://r.example" }))
    ]
    expect(new Set(ids).size).toBe(ids.length)
    for (const one of ids) expect(Schema.is(Schema.UUID)(one)).toBe(true)
  })
})
