/** What the free calls say, in values that need no Effect. */
import type * as Core from "@org/batch-core/Preflight"
import { Option } from "effect"
import type { Preflight } from "../Submit.js"
import * as Failures from "./Failures.js"

/** What the account may do. */
export const plain = (found: Core.Preflight): Preflight => ({
  credits: Option.getOrUndefined(found.credits),
  entitled: Option.getOrUndefined(found.entitled),
  requestsPerMinute: Option.getOrUndefined(found.requestsPerMinute),
  activeJobs: Option.getOrUndefined(found.activeJobs),
  failures: found.failures.map(Failures.of)
})
