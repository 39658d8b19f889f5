/**
 * The batch API as promises and async iterables. One client has one throttle: make one for an account in a process, and
 * close it at the end. A call is ended by its `AbortSignal`, and rejects with the signal's reason; what it had brought to
 * the disk is kept, and the same call again goes on there.
 *
 * @example
 * import { Client } from "@org/batch-client"
 *
 * interface Company {
 *   readonly internal_id: number
 * }
 *
 * const ids = async (id: string) => {
 *   await using client = new Client({ apiKey: process.env["CRUSTDATA_API_KEY"] })
 *   const found: Array<number> = []
 *   for await (const company of client.records<Company>(id, { timeout: "30m" })) found.push(company.internal_id)
 *   return found
 * }
 */
import type { BatchId } from "@org/batch-core/Batch"
import * as BatchClient from "@org/batch-core/BatchClient"
import * as BatchPoll from "@org/batch-core/BatchPoll"
import { ofWait } from "@org/batch-core/Event"
import * as Existing from "@org/batch-core/Existing"
import * as CorePreflight from "@org/batch-core/Preflight"
import type { Receipt as CoreReceipt } from "@org/batch-core/Receipt"
import * as Retrieval from "@org/batch-core/Retrieval"
import * as Settlement from "@org/batch-core/Settlement"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import * as CoreVerification from "@org/batch-core/Verification"
import { Effect, Option, Stream } from "effect"
import type { Batch, BatchStatus } from "./Batch.js"
import type { RecordInvalid } from "./BatchError.js"
import type { CampaignOptions, CampaignReport, Collected, CollectOptions } from "./Campaign.js"
import type { Duration } from "./Duration.js"
import type { Listeners } from "./Event.js"
import * as Arguments from "./internal/Arguments.js"
import * as Campaigns from "./internal/Campaigns.js"
import { emitOf } from "./internal/Events.js"
import type { Failed } from "./internal/Failures.js"
import * as Plain from "./internal/Plain.js"
import * as Preflights from "./internal/Preflights.js"
import * as Rows from "./internal/Rows.js"
import { Runner } from "./internal/Runner.js"
import * as Wiring from "./internal/Wiring.js"
import type { Format, Receipt, Verification } from "./Receipt.js"
import type { Settings } from "./Settings.js"
import type { OutputOf, StandardSchemaV1 } from "./StandardSchema.js"
import type { JobKind, Preflight, SubmitBodies } from "./Submit.js"

/** How a call can be ended. */
export interface CallOptions {
  /** Ends the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** How to wait for a job. */
export interface WaitOptions extends CallOptions, Pick<Listeners, "onEvent" | "onStatus"> {
  /** How long to wait. Default: 30 minutes. */
  readonly timeout?: Duration | undefined
}

/** Which jobs to list. */
export interface ListOptions extends CallOptions {
  /** Only jobs in this state. */
  readonly status?: BatchStatus | undefined
  /** Jobs at most. Default: all; pages are asked for as they are read. */
  readonly limit?: number | undefined
}

/** How to read the rows of a job. */
export interface RecordsOptions extends CallOptions, Listeners {
  /** How long to wait for the job. Default: 30 minutes. */
  readonly timeout?: Duration | undefined
  /**
   * What is done about a line that is no record, or that the schema refuses: `fail` ends the rows behind those before it
   * with `RecordInvalid` (the default), `skip` leaves it out, and so does a function, which may throw.
   */
  readonly onInvalid?: "fail" | "skip" | ((invalid: RecordInvalid) => void | Promise<void>) | undefined
}

/** Where the results go, and in which form. */
export interface DownloadOptions extends CallOptions, Listeners {
  /**
   * A file; or a folder, one that exists or a name that ends in `/`, in which it becomes `<batch-id>.<format>`; with
   * `parts` the folder of the parts. The name appears only when the result is complete and verified.
   */
  readonly output: string
  /** Default: what the extension of `output` says, otherwise `jsonl.gz`, the bytes as delivered. */
  readonly format?: Format | undefined
  /** Of `csv`: the columns, each once, such as `data.name`. Default: those of all rows, which are then read twice. */
  readonly columns?: ReadonlyArray<string> | undefined
  /** Of `csv`: begin with a byte order mark, without which Excel does not take a file for UTF-8. */
  readonly bom?: boolean | undefined
  /** Keep the part files separate, as `<batch-id>.part-000.jsonl.gz` …. */
  readonly parts?: boolean | undefined
  /** Connections at most, 1 to 64; default from the settings. */
  readonly concurrency?: number | undefined
  /** Replace an existing destination, which is otherwise a `StorageError` of reason `Exists`. */
  readonly force?: boolean | undefined
  /** Take what is at the destination already for the result, if its receipt proves that it is. */
  readonly skipExisting?: boolean | undefined
  /** Accept a result whose row count disagrees with `resultCount`. */
  readonly allowIncomplete?: boolean | undefined
  /** Write the receipt as well: `<output>.receipt.json`; with `parts` `<batch-id>.receipt.json` in the folder. */
  readonly receipt?: boolean | undefined
}

/** As `DownloadOptions`, and how long to wait for the job. */
export interface GetOptions extends DownloadOptions {
  /** How long to wait. Default: 30 minutes. */
  readonly timeout?: Duration | undefined
}

/** A record of which no more is known than that it is a JSON object. */
export type JsonRecord = Readonly<Record<string, unknown>>

/** The batch API, with one throttle for all calls. */
export class Client implements AsyncDisposable {
  readonly #runner: Runner

  /** Nothing happens until the first call. A setting that cannot be used is an `InvalidSetting` of every call. */
  constructor(settings: Settings = {}) {
    this.#runner = new Runner(Wiring.layer(settings))
  }

  /**
   * Starts a job, and gives it as it was accepted. What breaks the rules of its kind is `RequestInvalid` before anything is
   * sent. A job is never sent twice: one whose answer is lost is looked for in the account, for about two minutes, and is
   * `SubmitUnknown` if that does not tell whether it was accepted. A call that is aborted may have started its job.
   */
  submit<Kind extends JobKind>(
    kind: Kind,
    body: SubmitBodies[Kind],
    { signal }: CallOptions = {}
  ): Promise<Batch> {
    const submitted = Effect.flatMap(SubmitRequest.check(kind, body), (request) => Settlement.submit(request))
    return this.#runner.run(Effect.map(submitted, Plain.batch), signal)
  }

  /** The balance, which may be fractional; `undefined` if the API does not say it. */
  credits({ signal }: CallOptions = {}): Promise<number | undefined> {
    const asked = Effect.flatMap(BatchClient.BatchClient, ({ account }) => account.credits)
    return this.#runner.run(Effect.map(asked, Option.getOrUndefined), signal)
  }

  /** What the account may do now, and whether its plan includes a kind of job. Costs nothing. */
  preflight(kind: JobKind, { signal }: CallOptions = {}): Promise<Preflight> {
    return this.#runner.run(Effect.map(CorePreflight.look(kind), Preflights.plain), signal)
  }

  /** The job as it is now. */
  status(id: string, { signal }: CallOptions = {}): Promise<Batch> {
    const asked = Effect.flatMap(Arguments.batchId(id), BatchClient.status)
    return this.#runner.run(Effect.map(asked, Plain.batch), signal)
  }

  /** Waits until the job is completed. One that fails is `BatchFailed`, the end of the time `WaitTimeout`. */
  wait(id: string, options: WaitOptions = {}): Promise<Batch> {
    const waited = Effect.gen(function* () {
      const batchId = yield* Arguments.batchId(id)
      const deadline = yield* Arguments.timeout(options.timeout)
      return yield* BatchPoll.await(batchId, { deadline, ...ofWait(emitOf(options)) })
    })
    return this.#runner.run(Effect.map(waited, Plain.batch), options.signal)
  }

  /** The account's jobs, newest first. */
  list({ limit = Infinity, signal, status }: ListOptions = {}): AsyncGenerator<Batch, void, undefined> {
    const page = limit === Infinity ? undefined : Math.min(limit, 100)
    const jobs = Effect.map(Arguments.limit(limit), (most) =>
      BatchClient.list({ status, limit: page }).pipe(Stream.take(most), Stream.map(Plain.batch))
    )
    return this.#runner.iterate(Stream.unwrap(jobs), signal)
  }

  /**
   * Waits for the job, then gives its rows straight from the network, at the pace of whoever reads them, with nothing
   * written to the disk. Whoever reads to the end without an error had all of them, verified; who stops ends the transfer.
   */
  records<Schema extends StandardSchemaV1>(
    id: string,
    options: RecordsOptions & { readonly schema: Schema }
  ): AsyncGenerator<OutputOf<Schema>, void, undefined>
  /** Without a schema nobody checks that the rows are of the type that is named. */
  records<T = JsonRecord>(
    id: string,
    options?: RecordsOptions & { readonly schema?: undefined }
  ): AsyncGenerator<T, void, undefined>
  records(
    id: string,
    options: RecordsOptions & { readonly schema?: StandardSchemaV1 | undefined } = {}
  ): AsyncGenerator<unknown, void, undefined> {
    const rows = Effect.gen(function* () {
      const batchId = yield* Arguments.batchId(id)
      const deadline = yield* Arguments.timeout(options.timeout)
      return Rows.ofBatch(batchId, options, { deadline, onEvent: emitOf(options) })
    })
    return this.#runner.iterate(Stream.unwrap(rows), options.signal)
  }

  /** Fetches the results of a job that is completed already; of another one it is `BatchNotCompleted`. */
  download(id: string, options: DownloadOptions): Promise<Receipt> {
    return this.#deliver(id, options, Retrieval.download)
  }

  /** Waits for the job, then fetches its results: the main job. */
  get(id: string, options: GetOptions): Promise<Receipt> {
    return this.#deliver(id, options, (batchId, request) =>
      Effect.flatMap(Arguments.timeout(options.timeout), (deadline) =>
        Retrieval.get(batchId, { ...request, deadline })
      )
    )
  }

  /**
   * Submits a list of any length, as many jobs as that takes, and joins their results: a campaign. Every row of the input has
   * a fate, nothing is submitted twice, and the same call goes on where an earlier one ended, in whatever process. It begins
   * without asking: `maxCredits` bounds what it may cost.
   */
  run(kind: JobKind, options: CampaignOptions): Promise<CampaignReport> {
    return this.#runner.run(Campaigns.run(kind, options), options.signal)
  }

  /**
   * Downloads every completed job of the account that is not in a folder yet, and tells what became of each, as it comes.
   * Leaving the loop ends it.
   */
  collect(options: CollectOptions): AsyncGenerator<Collected, void, undefined> {
    return this.#runner.iterate(Campaigns.collect(options), options.signal)
  }

  /**
   * Checks a delivered file again, or every result in a folder: against their receipts, and where there are none in
   * themselves. What is wrong is `ResultsCorrupt` or `RecordInvalid`.
   */
  verify(path: string, { signal }: CallOptions = {}): Promise<ReadonlyArray<Verification>> {
    return this.#runner.run(
      Effect.map(CoreVerification.verify(path), (found) => found.map(Plain.verification)),
      signal
    )
  }

  /** Ends what is running (as `ClientClosed`), waits for its end, and gives back connections. */
  close(): Promise<void> {
    return this.#runner.close()
  }

  /** As `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #deliver(id: string, options: DownloadOptions, fetch: Fetch): Promise<Receipt> {
    const { allowIncomplete, force, receipt, signal, skipExisting = false } = options
    const delivered = Effect.gen(function* () {
      const batchId = yield* Arguments.batchId(id)
      const destination = yield* Arguments.destination(batchId, options)
      const request = { ...destination, allowIncomplete, force, receipt, onEvent: emitOf(options) }
      const existing = skipExisting ? yield* Existing.find(batchId, request) : Option.none()
      return Option.isSome(existing) ? existing.value : yield* fetch(batchId, request)
    })
    return this.#runner.run(Effect.map(delivered, Plain.receipt), signal)
  }
}

type Fetch = (
  batchId: BatchId,
  options: Retrieval.DownloadOptions
) => Effect.Effect<CoreReceipt, Failed, Retrieval.Needs>
