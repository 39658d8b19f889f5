import { expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Filter from "../src/Filter.js"

const leaf = { field: "headcount.total", type: "=>", value: 10 }
const group = (...conditions: ReadonlyArray<unknown>) => ({ op: "and", conditions })

it.each(["=", "!=", "<", "=<", ">", "=>", "in", "not_in", "(.)", "(!)", "[.]"])("accepts %s", (type) => {
  expect(Filter.check(group({ ...leaf, type }))).toEqual(Either.right(undefined))
})

it.each([
  ["a condition at the top", leaf],
  ["no group", [leaf]],
  [">=", group({ ...leaf, type: ">=" })],
  ["<=", group({ ...leaf, type: "<=" })],
  ["another op", { op: "xor", conditions: [leaf] }],
  ["an empty group", group()],
  ["a condition without a field", group({ type: "=", value: 1 })],
  ["a condition without a value", group({ field: "a", type: "=" })],
  ["a wrong condition below", group(group({ ...leaf, type: ">=" }))]
])("refuses %s", (_, filters) => {
  expect(Either.isLeft(Filter.check(filters))).toBe(true)
})

it("groups nest", () => {
  expect(Filter.check(group(leaf, group(leaf, { op: "or", conditions: [leaf] })))).toEqual(
    Either.right(undefined)
  )
})

it("sorts have a field and an order", () => {
  expect(Filter.checkSorts([{ field: "a", order: "desc" }])).toEqual(Either.right(undefined))
  expect(Either.isLeft(Filter.checkSorts([{ field: "a", order: "down" }]))).toBe(true)
})
