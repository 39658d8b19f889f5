import { describe, expect, it } from "@effect/vitest"
import * as RouteName from "../src/RouteName.js"

describe("RouteName", () => {
  it("pathOf leaves out the query, which may be a secret", () => {
    expect(RouteName.pathOf({ url: "/batch/x?key=1#y" })).toBe("/batch/x")
    expect(RouteName.pathOf({ url: "/batch/x#y?z" })).toBe("/batch/x")
    expect(RouteName.pathOf({ url: "" })).toBe("")
  })

  it.each([
    ["/", "/"],
    ["/batch", "/batch"],
    ["/batch/", "/batch"],
    ["/batch/42", "/batch/{batch_id}"],
    ["/batch/42/", "/batch/{batch_id}"],
    ["/batch/42/wait", "/batch/{batch_id}/wait"],
    ["/batch/{batch_id}/events", "/batch/{batch_id}/events"],
    ["/batch/results/results", "/batch/{batch_id}/results"],
    ["/health", "/health"],
    ["/ready/", "/ready"],
    ["/metrics", "/metrics"],
    ["/docs", "/docs"],
    ["/openapi.json", "/openapi.json"]
  ])("%s is %s", (path, name) => expect(RouteName.fromPath(path)).toBe(name))

  it.each([
    "",
    "//",
    "/batches",
    "/batch/1/2",
    "/batch/1/wait/2",
    "/batch//wait",
    "/openapi_json",
    "/x/health"
  ])("%s is nothing that has a name", (path) => expect(RouteName.fromPath(path)).toBeUndefined())
})
