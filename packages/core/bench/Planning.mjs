/** Plans the list that it is given, and prints how long it took and the highest resident memory, in MiB. */
import { NodeContext } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import * as Planning from "../src/campaign/Planning.ts"
import * as BatchConfig from "../src/model/BatchConfig.ts"

const [, , input, folder] = process.argv
const began = performance.now()
const plan = await Planning.make({
  input,
  folder,
  format: "csv",
  column: "website",
  property: { name: "domains", type: "domain" },
  cap: 10_000
}).pipe(Effect.provide(Layer.merge(NodeContext.layer, BatchConfig.layer({}))), Effect.runPromise)
const { duplicates, rows, unique } = plan
const milliseconds = Math.round(performance.now() - began)
const peak = Math.round(process.resourceUsage().maxRSS / 1024)
console.log(JSON.stringify({ rows, unique, duplicates, jobs: plan.chunks.length, milliseconds, peak }))
