/**
 * Status, waiting, download and verification of Crustdata batch jobs as composable typed effects.
 *
 * @packageDocumentation
 */
export * as Batch from "./Batch.js"
export * as BatchClient from "./BatchClient.js"
export * as BatchConfig from "./BatchConfig.js"
export * as BatchError from "./BatchError.js"
export * as BatchHttp from "./BatchHttp.js"
export * as BatchPoll from "./BatchPoll.js"
export * as Csv from "./Csv.js"
export * as DurationText from "./DurationText.js"
export * as Format from "./Format.js"
export * as FreeSpace from "./FreeSpace.js"
export * as GzipLines from "./GzipLines.js"
export * as Receipt from "./Receipt.js"
export * as Records from "./Records.js"
export * as ResultLink from "./ResultLink.js"
export * as ResultPlan from "./ResultPlan.js"
export * as ResultStream from "./ResultStream.js"
export * as Retrieval from "./Retrieval.js"
export * as RetryPolicy from "./RetryPolicy.js"
export * as Secret from "./Secret.js"
export * as SharedWatch from "./SharedWatch.js"
export * as StatusCache from "./StatusCache.js"
export * as Telemetry from "./Telemetry.js"
export * as Throttle from "./Throttle.js"
export * as Verification from "./Verification.js"
