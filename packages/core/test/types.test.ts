/** Promises that the compiler keeps: `tsc -b` fails when one of these types changes; at run time nothing happens. */
import type { FileSystem, HttpClient, HttpClientError, Path } from "@effect/platform"
import { describe, expectTypeOf, it } from "@effect/vitest"
import {
  type ConfigError,
  type DateTime,
  type Duration,
  Effect,
  type Either,
  type Layer,
  type Option,
  type Redacted,
  Schema,
  type Scope,
  type Stream
} from "effect"
import type * as ApiResponse from "../src/status/ApiResponse.js"
import * as Batch from "../src/model/Batch.js"
import * as BatchClient from "../src/status/BatchClient.js"
import type * as BatchConfig from "../src/model/BatchConfig.js"
import type {
  ApiError,
  ApiUnavailable,
  AwaitError,
  BatchFailed,
  BatchNotCompleted,
  BatchNotFound,
  MalformedResponse,
  NotAuthorized,
  RateLimited,
  ColumnsNotFound,
  RecordInvalid,
  RequestRejected,
  ResultsCorrupt,
  ResultsUnavailable,
  StatusError,
  StorageError,
  SubmitError,
  SubmitUnknown,
  TransferFailed,
  WaitTimeout,
  WatchError
} from "../src/model/BatchError.js"
import type * as BatchHttp from "../src/status/BatchHttp.js"
import type * as BatchPoll from "../src/status/BatchPoll.js"
import type * as Csv from "../src/records/Csv.js"
import type * as Format from "../src/model/Format.js"
import type * as Receipt from "../src/proof/Receipt.js"
import * as Records from "../src/download/Records.js"
import type * as Event from "../src/download/Event.js"
import * as Download from "../src/download/Download.js"
import type * as ResultStream from "../src/download/ResultStream.js"
import * as Retrieval from "../src/download/Retrieval.js"
import type * as RetryPolicy from "../src/retry/RetryPolicy.js"
import type { JsonObject } from "../src/model/Masking.js"
import type * as Ledger from "../src/campaign/Ledger.js"
import type * as Preflight from "../src/submit/Preflight.js"
import type * as Settlement from "../src/submit/Settlement.js"
import type * as Throttle from "../src/retry/Throttle.js"

describe("unions of failures", () => {
  it("of one call, of one batch, of a wait, of a wait for completion", () => {
    type Call = NotAuthorized | RequestRejected | RateLimited | ApiUnavailable | MalformedResponse
    expectTypeOf<ApiError>().toEqualTypeOf<Call>()
    expectTypeOf<StatusError>().toEqualTypeOf<Call | BatchNotFound>()
    expectTypeOf<WatchError>().toEqualTypeOf<
      NotAuthorized | RequestRejected | BatchNotFound | ApiUnavailable | WaitTimeout
    >()
    expectTypeOf<AwaitError>().toEqualTypeOf<
      NotAuthorized | RequestRejected | BatchNotFound | ApiUnavailable | WaitTimeout | BatchFailed
    >()
  })
})

describe("submit", () => {
  type Call = NotAuthorized | RequestRejected | RateLimited | ApiUnavailable | MalformedResponse

  it("can lose its answer, whether it is settled or not", () => {
    expectTypeOf<SubmitError>().toEqualTypeOf<Call | SubmitUnknown>()
    type Submitted = Effect.Effect<Batch.Batch, Call | SubmitUnknown, BatchClient.BatchClient>
    expectTypeOf<ReturnType<typeof BatchClient.submit>>().toEqualTypeOf<Submitted>()
    expectTypeOf<ReturnType<typeof Settlement.submit>>().toEqualTypeOf<Submitted>()
  })

  it("looks before and after cannot fail", () => {
    expectTypeOf<ReturnType<typeof Settlement.settle>>().toEqualTypeOf<
      Effect.Effect<Settlement.Verdict, never, BatchClient.BatchClient>
    >()
    expectTypeOf<ReturnType<typeof Preflight.look>>().toEqualTypeOf<
      Effect.Effect<Preflight.Preflight, never, BatchClient.BatchClient>
    >()
  })

  it("a ledger fails as the disk does", () => {
    expectTypeOf<typeof Ledger.file>().toEqualTypeOf<
      (
        path: string
      ) => Effect.Effect<Ledger.Ledger, StorageError, FileSystem.FileSystem | Path.Path | Scope.Scope>
    >()
    expectTypeOf<Ledger.Ledger["append"]>().toEqualTypeOf<
      (entry: Ledger.Entry) => Effect.Effect<void, StorageError>
    >()
  })
})

describe("BatchClient", () => {
  it("status", () => {
    expectTypeOf<typeof BatchClient.status>().toEqualTypeOf<
      (
        batchId: Batch.BatchId
      ) => Effect.Effect<
        Batch.Batch,
        NotAuthorized | RequestRejected | RateLimited | ApiUnavailable | MalformedResponse | BatchNotFound,
        BatchClient.BatchClient
      >
    >()
  })

  it("list", () => {
    expectTypeOf<typeof BatchClient.list>().toEqualTypeOf<
      (
        options?: BatchClient.ListOptions
      ) => Stream.Stream<
        Batch.Batch,
        NotAuthorized | RequestRejected | RateLimited | ApiUnavailable | MalformedResponse,
        BatchClient.BatchClient
      >
    >()
  })

  it("the service needs nothing", () => {
    expectTypeOf<BatchClient.Service>().toEqualTypeOf<{
      readonly status: (
        batchId: Batch.BatchId,
        options?: BatchClient.StatusOptions
      ) => Effect.Effect<Batch.Batch, StatusError>
      readonly page: (options?: BatchClient.ListOptions) => Effect.Effect<BatchClient.Page, ApiError>
      readonly submit: BatchClient.Service["submit"]
      readonly account: BatchClient.Service["account"]
      readonly throttle: Throttle.Throttle
    }>()
    expectTypeOf<BatchClient.BatchClient["Type"]>().toEqualTypeOf<BatchClient.Service>()
  })

  it("make and layer cannot fail", () => {
    type Needs = BatchConfig.BatchConfig | BatchHttp.BatchHttp
    expectTypeOf<typeof BatchClient.make>().toEqualTypeOf<Effect.Effect<BatchClient.Service, never, Needs>>()
    expectTypeOf<typeof BatchClient.layer>().toEqualTypeOf<
      Layer.Layer<BatchClient.BatchClient, never, Needs>
    >()
  })

  it("a page has a cursor or none, and its raw answer redacted", () => {
    expectTypeOf<BatchClient.Page>().toEqualTypeOf<{
      readonly jobs: ReadonlyArray<Batch.Batch>
      readonly nextCursor: Option.Option<string>
      readonly isCut: boolean
      readonly date: Option.Option<DateTime.Utc>
      readonly raw: Redacted.Redacted<JsonObject>
    }>()
  })

  it("takes no text for a batch id", () => {
    expectTypeOf<typeof BatchClient.status>().parameter(0).toEqualTypeOf<Batch.BatchId>()
    expectTypeOf<string>().not.toMatchTypeOf<Batch.BatchId>()
    expectTypeOf<Batch.BatchId>().toMatchTypeOf<string>()
  })
})

describe("BatchPoll", () => {
  type Needs = BatchClient.BatchClient | BatchConfig.BatchConfig

  it("watch", () => {
    expectTypeOf<typeof BatchPoll.watch>().toEqualTypeOf<
      (
        batchId: Batch.BatchId,
        options: BatchPoll.WatchOptions
      ) => Stream.Stream<
        Batch.Batch,
        NotAuthorized | RequestRejected | BatchNotFound | ApiUnavailable | WaitTimeout,
        Needs
      >
    >()
  })

  it("await", () => {
    expectTypeOf<Parameters<typeof BatchPoll.await>>().toEqualTypeOf<
      [batchId: Batch.BatchId, options: BatchPoll.AwaitOptions]
    >()
    expectTypeOf<ReturnType<typeof BatchPoll.await>>().toEqualTypeOf<
      Effect.Effect<
        Batch.Batch,
        NotAuthorized | RequestRejected | BatchNotFound | ApiUnavailable | WaitTimeout | BatchFailed,
        Needs
      >
    >()
  })

  it("the deadline must be said, in any form of a duration, Infinity included", () => {
    expectTypeOf<BatchPoll.WatchOptions>().toEqualTypeOf<{
      readonly deadline: BatchPoll.Deadline
      readonly submitted?: boolean | undefined
      readonly onNotice?: ((notice: BatchPoll.Notice) => Effect.Effect<void>) | undefined
    }>()
    expectTypeOf<object>().not.toMatchTypeOf<BatchPoll.WatchOptions>()
    expectTypeOf<{ deadline: number }>().toMatchTypeOf<BatchPoll.WatchOptions>()
    expectTypeOf<Retrieval.GetOptions["deadline"]>().toEqualTypeOf<BatchPoll.Deadline>()
    expectTypeOf<BatchPoll.Deadline>().toEqualTypeOf<
      Duration.Duration | `${number} ${Duration.Unit}` | number
    >()
  })

  it("a notice is a failed request or an unknown state", () => {
    expectTypeOf<BatchPoll.Excuse>().toEqualTypeOf<
      RateLimited | ApiUnavailable | MalformedResponse | BatchNotFound | NotAuthorized
    >()
    expectTypeOf<BatchPoll.Notice>().toEqualTypeOf<
      | { readonly _tag: "RequestFailed"; readonly error: BatchPoll.Excuse }
      | { readonly _tag: "UnknownStatus"; readonly status: string }
    >()
  })
})

describe("BatchConfig", () => {
  it("make and the layers fail with ConfigError and need nothing", () => {
    type Layered = Layer.Layer<BatchConfig.BatchConfig, ConfigError.ConfigError>
    expectTypeOf<typeof BatchConfig.make>().toEqualTypeOf<
      (options?: BatchConfig.Options) => Effect.Effect<BatchConfig.Settings, ConfigError.ConfigError>
    >()
    expectTypeOf<typeof BatchConfig.layer>().toEqualTypeOf<(options?: BatchConfig.Options) => Layered>()
    expectTypeOf<typeof BatchConfig.layerConfig>().toEqualTypeOf<() => Layered>()
  })

  it("durations are never bare numbers, figures always are, and the key is redacted", () => {
    type Poll = NonNullable<BatchConfig.Options["poll"]>
    expectTypeOf<Poll["maxDelay"]>().toEqualTypeOf<Duration.Duration | string | undefined>()
    expectTypeOf<Poll["factor"]>().toEqualTypeOf<number | undefined>()
    expectTypeOf<BatchConfig.Options["apiKey"]>().toEqualTypeOf<Redacted.Redacted<string> | undefined>()
    expectTypeOf<BatchConfig.Settings["apiKey"]>().toEqualTypeOf<Option.Option<Redacted.Redacted<string>>>()
  })
})

describe("BatchHttp", () => {
  it("api can miss a key, files cannot", () => {
    expectTypeOf<BatchHttp.Service>().toEqualTypeOf<{
      readonly api: HttpClient.HttpClient.With<HttpClientError.HttpClientError | NotAuthorized>
      readonly files: HttpClient.HttpClient
      readonly fileThrottle: Throttle.Throttle
    }>()
    expectTypeOf<typeof BatchHttp.layer>().toEqualTypeOf<
      Layer.Layer<BatchHttp.BatchHttp, never, BatchConfig.BatchConfig | HttpClient.HttpClient>
    >()
  })
})

describe("RetryPolicy, Throttle and ApiResponse", () => {
  it("run fails with what the attempt fails with", () => {
    type Run = typeof RetryPolicy.run<Batch.Batch, BatchNotFound, never>
    expectTypeOf<ReturnType<Run>>().toEqualTypeOf<Effect.Effect<Batch.Batch, BatchNotFound>>()
    expectTypeOf<ApiResponse.Failure<BatchNotFound>>().toEqualTypeOf<RetryPolicy.Failure<StatusError>>()
  })

  it("a throttle cannot fail", () => {
    expectTypeOf<ReturnType<typeof Throttle.make>>().toEqualTypeOf<Effect.Effect<Throttle.Throttle>>()
    expectTypeOf<Throttle.Throttle["enter"]>().toEqualTypeOf<Effect.Effect<void>>()
  })
})

describe("Batch", () => {
  it("has an open set of states, and links that are redacted", () => {
    expectTypeOf<"paused">().toMatchTypeOf<Batch.BatchStatus>()
    expectTypeOf<Batch.Batch["downloadUrl"]>().toEqualTypeOf<Option.Option<Redacted.Redacted<string>>>()
    expectTypeOf<Batch.Batch["downloadUrls"]>().toEqualTypeOf<ReadonlyArray<Redacted.Redacted<string>>>()
    expectTypeOf<Batch.Batch["raw"]>().toEqualTypeOf<Redacted.Redacted<JsonObject>>()
  })

  it("is decoded from JSON objects, without needs", () => {
    expectTypeOf<typeof Batch.FromJson>().toEqualTypeOf<Schema.Schema<Batch.Batch, JsonObject>>()
  })
})

describe("Records", () => {
  type Bytes = Stream.Stream<Uint8Array, "broken", "host">
  type RecordsOf<A> = Stream.Stream<
    Either.Either<A, RecordInvalid>,
    "broken",
    "host" | BatchConfig.BatchConfig
  >

  it("a bad line is a value: a stream fails with what the bytes fail with", () => {
    expectTypeOf<typeof Records.fromBytes<"broken", "host">>().toEqualTypeOf<
      (bytes: Bytes) => RecordsOf<JsonObject>
    >()
    expectTypeOf<Records.Record>().toEqualTypeOf<JsonObject>()
  })

  it("records of a type need a schema without needs", () => {
    interface Row {
      readonly id: number
    }
    expectTypeOf<typeof Records.schemaFromBytes<Row, unknown, "broken", "host">>().toEqualTypeOf<
      (bytes: Bytes, schema: Schema.Schema<Row, unknown>) => RecordsOf<Row>
    >()
  })

  it("lines are framed and decoded at once", () => {
    type Lines = ReadonlyArray<Either.Either<Records.Line, RecordInvalid>>
    expectTypeOf<ReturnType<typeof Records.framer>>().toEqualTypeOf<{
      readonly push: (bytes: Uint8Array) => Lines
      readonly end: () => Lines
    }>()
    expectTypeOf<typeof Records.decode>().toEqualTypeOf<
      (line: Records.Line) => Either.Either<JsonObject, RecordInvalid>
    >()
  })
})

describe("Csv and Format", () => {
  it("encode fails with the first bad line, and with what the bytes fail with", () => {
    type Encode = ReturnType<typeof Csv.encode>
    expectTypeOf<Parameters<typeof Csv.encode>>().toEqualTypeOf<[columns: ReadonlyArray<string>]>()
    expectTypeOf<Encode>().toEqualTypeOf<
      <E, R>(
        inflated: Stream.Stream<Uint8Array, E, R>
      ) => Stream.Stream<Uint8Array, E | RecordInvalid | ColumnsNotFound, R | BatchConfig.BatchConfig>
    >()
  })

  it("conversions are synchronous, and say which line is no record", () => {
    expectTypeOf<ReturnType<typeof Csv.rowsOf>>().toEqualTypeOf<Csv.Table>()
    expectTypeOf<ReturnType<Csv.Table["end"]>>().toEqualTypeOf<
      Either.Either<Uint8Array, RecordInvalid | ColumnsNotFound>
    >()
    expectTypeOf<ReturnType<typeof Csv.columnsOf>>().toEqualTypeOf<Csv.Conversion<ReadonlyArray<string>>>()
    expectTypeOf<Csv.Conversion<"a">>().toEqualTypeOf<{
      readonly push: (bytes: Uint8Array) => Either.Either<"a", RecordInvalid>
      readonly end: () => Either.Either<"a", RecordInvalid>
    }>()
    expectTypeOf<typeof Csv.parseColumns>().toEqualTypeOf<
      (list: string) => Either.Either<ReadonlyArray<string>, string>
    >()
  })

  it("the list of formats is closed, and a receipt's is the same", () => {
    expectTypeOf<Format.Format>().toEqualTypeOf<"jsonl.gz" | "jsonl" | "csv">()
    expectTypeOf<Receipt.Receipt["format"]>().toEqualTypeOf<Format.Format>()
    expectTypeOf<(typeof Receipt.Receipt.Encoded)["format"]>().toEqualTypeOf<Format.Format>()
  })
})

type TransferErrors = StatusError | ResultsUnavailable | TransferFailed | ResultsCorrupt | StorageError

type ErrorOf<T> =
  T extends Effect.Effect<unknown, infer E, unknown>
    ? E
    : T extends Stream.Stream<unknown, infer E, unknown>
      ? E
      : never

describe("Retrieval", () => {
  const id = Batch.BatchId.make("01234567-89ab-4cde-8f01-23456789abcd")

  it("only a table can fail with its lines and its columns", () => {
    const rows = () => Retrieval.download(id, { output: "rows.jsonl" })
    const table = () => Retrieval.download(id, { output: "rows.csv", format: "csv" })
    const any = (format: Format.Format) => Retrieval.download(id, { output: "rows", format })
    type Rows = TransferErrors | BatchFailed | BatchNotCompleted
    expectTypeOf<ErrorOf<ReturnType<typeof rows>>>().toEqualTypeOf<Rows>()
    expectTypeOf<ErrorOf<ReturnType<typeof table>>>().toEqualTypeOf<Rows | RecordInvalid | ColumnsNotFound>()
    expectTypeOf<ErrorOf<ReturnType<typeof any>>>().toEqualTypeOf<Rows | RecordInvalid | ColumnsNotFound>()
    expectTypeOf<ReturnType<typeof rows>>().toEqualTypeOf<
      Effect.Effect<Receipt.Receipt, Rows, Retrieval.Needs>
    >()
  })

  it("after a wait the job is not running any more", () => {
    const rows = () => Retrieval.get(id, { deadline: 60, output: "rows.jsonl.gz", format: "jsonl.gz" })
    const table = () => Retrieval.get(id, { deadline: 60, output: "rows.csv", format: "csv" })
    expectTypeOf<ErrorOf<ReturnType<typeof rows>>>().toEqualTypeOf<TransferErrors | AwaitError>()
    expectTypeOf<ErrorOf<ReturnType<typeof table>>>().toEqualTypeOf<
      TransferErrors | AwaitError | RecordInvalid | ColumnsNotFound
    >()
  })

  it("a misspelt option is still an error", () => {
    // @ts-expect-error there is no such option
    const wrong = () => Retrieval.get(id, { deadline: 60, output: "rows.jsonl.gz", forse: true })
    expectTypeOf(wrong).toBeFunction()
  })
})

describe("ResultStream, Records and Download", () => {
  const id = Batch.BatchId.make("01234567-89ab-4cde-8f01-23456789abcd")
  type Results = StatusError | BatchFailed | ResultsUnavailable | TransferFailed | ResultsCorrupt

  it("only a job that was not waited for can be running still", () => {
    expectTypeOf<ResultStream.StreamError>().toEqualTypeOf<Results | BatchNotCompleted>()
    expectTypeOf<ResultStream.GetError>().toEqualTypeOf<Results | AwaitError>()
  })

  it("records fail with what is done about invalid lines", () => {
    const Row = Schema.Struct({ internal_id: Schema.Number })
    const plain = () => Records.ofBatch(id, { deadline: 60 })
    const typed = () => Records.ofBatch(id, { deadline: 60, schema: Row, onInvalid: "skip" })
    const told = (tell: (invalid: RecordInvalid) => Effect.Effect<void, "told", "teller">) =>
      Records.ofFile("rows.jsonl", { onInvalid: tell })
    const inline = () =>
      Records.ofBatch(id, {
        deadline: 60,
        schema: Row,
        onInvalid: ({ line }) => (line > 3 ? Effect.fail("enough" as const) : Effect.void)
      })
    expectTypeOf<ErrorOf<ReturnType<typeof inline>>>().toEqualTypeOf<ResultStream.GetError | "enough">()
    const either = (onInvalid: "fail" | "skip") => Records.ofFile("rows.jsonl", { schema: Row, onInvalid })
    expectTypeOf<ReturnType<typeof plain>>().toEqualTypeOf<
      Stream.Stream<Records.Record, ResultStream.GetError | RecordInvalid, ResultStream.Needs>
    >()
    expectTypeOf<ReturnType<typeof typed>>().toEqualTypeOf<
      Stream.Stream<{ readonly internal_id: number }, ResultStream.GetError, ResultStream.Needs>
    >()
    expectTypeOf<ReturnType<typeof told>>().toEqualTypeOf<
      Stream.Stream<
        Records.Record,
        ResultsCorrupt | StorageError | "told",
        BatchConfig.BatchConfig | FileSystem.FileSystem | "teller"
      >
    >()
    expectTypeOf<ErrorOf<ReturnType<typeof either>>>().toEqualTypeOf<
      ResultsCorrupt | StorageError | RecordInvalid
    >()
  })

  it("a link of one's own fails with what its effect fails with, and needs no client of the API", () => {
    const fixed = () => Download.fetch("https://files.test/x", { to: "x.jsonl.gz" })
    const signed = (sign: Effect.Effect<Redacted.Redacted<string>, "denied", "signer">) =>
      Download.fetch(sign, { to: "x.jsonl.gz" })
    type Needs = BatchConfig.BatchConfig | BatchHttp.BatchHttp | FileSystem.FileSystem | Path.Path
    type Failures = ResultsUnavailable | TransferFailed | ResultsCorrupt | StorageError
    expectTypeOf<ReturnType<typeof fixed>>().toEqualTypeOf<Effect.Effect<Download.Fetched, Failures, Needs>>()
    expectTypeOf<ReturnType<typeof signed>>().toEqualTypeOf<
      Effect.Effect<Download.Fetched, Failures | "denied", Needs | "signer">
    >()
  })

  it("everything tells the same events", () => {
    expectTypeOf<Retrieval.DownloadOptions["onEvent"]>().toEqualTypeOf<Event.Emit | undefined>()
    expectTypeOf<ResultStream.StreamOptions["onEvent"]>().toEqualTypeOf<Event.Emit | undefined>()
    expectTypeOf<Records.ReadOptions["onEvent"]>().toEqualTypeOf<Event.Emit | undefined>()
    expectTypeOf<Download.FetchOptions["onEvent"]>().toEqualTypeOf<Event.Emit | undefined>()
  })

  it("a call of one's own can be refused by the account's throttle", () => {
    const call = (own: Effect.Effect<"answer", "broken", "host">) => BatchClient.retry(own)
    expectTypeOf<ReturnType<typeof call>>().toEqualTypeOf<
      Effect.Effect<
        "answer",
        "broken" | RateLimited,
        "host" | BatchClient.BatchClient | BatchConfig.BatchConfig
      >
    >()
  })
})
