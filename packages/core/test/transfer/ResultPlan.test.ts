import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck as fc } from "effect"
import * as ResultPlan from "../../src/transfer/ResultPlan.js"
import * as Script from "../Script.js"

const link = (name: string) => `https://files.test/${name}?X-Amz-Signature=s`

describe("ResultPlan", () => {
  it("takes the merged file, unless parts are asked for or all there is", () => {
    const batch = Script.batch({
      status: "completed",
      result_count: 3,
      download_url: link("merged"),
      download_urls: [link("a"), link("b")]
    })
    expect(ResultPlan.make(batch, { parts: false })).toEqual(
      Either.right({
        source: "merged",
        files: [{ index: 0, target: "merged", name: `${Script.batchId}.jsonl.gz` }]
      })
    )
    const parts = [0, 1].map((index) => ({
      index,
      target: index,
      name: `${Script.batchId}.part-00${index}.jsonl.gz`
    }))
    expect(ResultPlan.make(batch, { parts: true })).toEqual(Either.right({ source: "parts", files: parts }))
    const only = Script.batch({ status: "completed", result_count: 3, download_urls: [link("a"), link("b")] })
    expect(ResultPlan.make(only, { parts: false })).toEqual(Either.right({ source: "parts", files: parts }))
  })

  it("plans every job for what it is", () => {
    fc.assert(
      fc.property(jobs, fc.boolean(), ({ count, merged, parts, status }, wanted) => {
        const batch = Script.batch({
          status,
          result_count: count,
          ...(merged ? { download_url: link("merged") } : {}),
          download_urls: Array.from({ length: parts }, (_, n) => link(`part-${n}`)),
          ...(status === "failed" ? { error_message: "no" } : {})
        })
        const plan = Either.merge(ResultPlan.make(batch, { parts: wanted }))
        const kind = "_tag" in plan ? plan._tag : plan.source
        const expected =
          status === "failed"
            ? "BatchFailed"
            : status !== "completed"
              ? "ResultsUnavailable"
              : count === 0
                ? "none"
                : wanted
                  ? parts > 0
                    ? "parts"
                    : "ResultsUnavailable"
                  : merged
                    ? "merged"
                    : parts > 0
                      ? "parts"
                      : "ResultsUnavailable"
        expect(kind).toBe(expected)
        const job = Either.merge(Either.map(ResultPlan.completed(batch), () => ({ _tag: "completed" })))
        expect(job._tag).toBe(
          { completed: "completed", failed: "BatchFailed" }[status] ?? "BatchNotCompleted"
        )
        if ("_tag" in plan) return
        const names = plan.files.map(({ name }) => name)
        expect(plan.files).toHaveLength(kind === "none" ? 0 : kind === "merged" ? 1 : parts)
        expect(plan.files.map(({ index }) => index)).toEqual(names.map((_, index) => index))
        expect(new Set(names).size).toBe(names.length)
        if (parts <= 1000) expect(names.toSorted()).toEqual(names)
      }),
      { seed: 7 }
    )
  })
})

// ----------------------------------------------------------------------------------------------------------------

const jobs = fc.record({
  status: fc.constantFrom("pending", "processing", "completed", "completed", "failed", "resting"),
  count: fc.oneof(fc.constant(0), fc.nat(1000)),
  merged: fc.boolean(),
  parts: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1000 }))
})
