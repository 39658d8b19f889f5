/** Promises that the compiler keeps: `tsc -b` fails when one of these types changes; at run time nothing happens. */
import type { HttpClient, HttpClientError } from "@effect/platform"
import { describe, expectTypeOf, it } from "@effect/vitest"
import type { ConfigError, Duration, Effect, Either, Layer, Option, Redacted, Schema, Stream } from "effect"
import type * as ApiResponse from "../src/status/ApiResponse.js"
import type * as Batch from "../src/model/Batch.js"
import type * as BatchClient from "../src/status/BatchClient.js"
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
  TransferFailed,
  WaitTimeout,
  WatchError
} from "../src/model/BatchError.js"
import type * as BatchHttp from "../src/status/BatchHttp.js"
import type * as BatchPoll from "../src/status/BatchPoll.js"
import type * as Csv from "../src/records/Csv.js"
import type * as Format from "../src/model/Format.js"
import type * as Receipt from "../src/proof/Receipt.js"
import type * as Records from "../src/records/Records.js"
import type * as Retrieval from "../src/download/Retrieval.js"
import type * as RetryPolicy from "../src/retry/RetryPolicy.js"
import type { JsonObject } from "../src/model/Masking.js"
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
      [batchId: Batch.BatchId, options: BatchPoll.WatchOptions]
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

describe("Retrieval", () => {
  it("download", () => {
    expectTypeOf<ReturnType<typeof Retrieval.download>>().toEqualTypeOf<
      Effect.Effect<
        Receipt.Receipt,
        | StatusError
        | ResultsUnavailable
        | TransferFailed
        | ResultsCorrupt
        | StorageError
        | BatchFailed
        | BatchNotCompleted
        | RecordInvalid
        | ColumnsNotFound,
        Retrieval.Needs
      >
    >()
  })
})
