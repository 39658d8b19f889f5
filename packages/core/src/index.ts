/**
 * Status, waiting, download and verification of Crustdata batch jobs as composable typed effects.
 *
 * @packageDocumentation
 */

// model: the vocabulary, the failures, the settings
export * as Batch from "./model/Batch.js"
export * as BatchConfig from "./model/BatchConfig.js"
export * as BatchError from "./model/BatchError.js"
export * as CountText from "./model/CountText.js"
export * as DurationText from "./model/DurationText.js"
export * as Format from "./model/Format.js"
export * as JobKind from "./model/JobKind.js"
export * as MaskText from "./model/MaskText.js"
export * as Masking from "./model/Masking.js"
export * as PresignedLink from "./model/PresignedLink.js"
export * as SubmitRequest from "./model/SubmitRequest.js"
export * as Suggestion from "./model/Suggestion.js"
export * as Telemetry from "./model/Telemetry.js"

// retry: when to try again, and what all calls of one account share
export * as Monotonic from "./retry/Monotonic.js"
export * as RetryPolicy from "./retry/RetryPolicy.js"
export * as Throttle from "./retry/Throttle.js"

// disk: our own disk, what the machine tells of itself, and buffers
export * as Buffers from "./disk/Buffers.js"
export * as LocalMachine from "./disk/LocalMachine.js"

// status: the vendor's calls, and waiting
export * as Account from "./status/Account.js"
export * as BatchClient from "./status/BatchClient.js"
export * as BatchHttp from "./status/BatchHttp.js"
export * as BatchPoll from "./status/BatchPoll.js"
export * as SharedWatch from "./status/SharedWatch.js"
export * as StatusCache from "./status/StatusCache.js"

// submit: what is known before a job is sent, and what became of one whose answer was lost
export * as Preflight from "./submit/Preflight.js"
export * as Settlement from "./submit/Settlement.js"
export * as Idempotency from "./submit/Idempotency.js"

// transfer: what to fetch, and the links to it
export * as ResultLinks from "./transfer/ResultLinks.js"
export * as ResultPlan from "./transfer/ResultPlan.js"

// proof: what a file holds, and the receipt that says so
export * as Gunzip from "./proof/Gunzip.js"
export * as Compression from "./proof/Compression.js"
export * as Receipt from "./proof/Receipt.js"

// records: bytes, records, tables
export * as Csv from "./records/Csv.js"

// download: the whole story
export * as Collection from "./download/Collection.js"
export * as Download from "./download/Download.js"
export * as Event from "./download/Event.js"
export * as Existing from "./download/Existing.js"
export * as ResultRange from "./download/ResultRange.js"
export * as Records from "./download/Records.js"
export * as ResultStream from "./download/ResultStream.js"
export * as Retrieval from "./download/Retrieval.js"
export * as Verification from "./download/Verification.js"

// campaign: a list of any length to one verified result
export * as Campaign from "./campaign/Campaign.js"
export * as Identifier from "./campaign/Identifier.js"
export * as InputRows from "./campaign/InputRows.js"
export * as Jobs from "./campaign/Jobs.js"
export * as Ledger from "./campaign/Ledger.js"
export * as Report from "./campaign/Report.js"
