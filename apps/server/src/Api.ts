/**
 * The service as a value: its paths, what they take, what they answer and how they fail. The routes, the OpenAPI
 * document and the page that shows it are all made of this.
 */
import {
  HttpApi,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSchema,
  HttpApiSecurity,
  OpenApi
} from "@effect/platform"
import { Schema } from "effect"
import * as Problem from "./Problem.js"

/** Of this package, embedded when it is bundled. */
declare const BATCH_SERVER_VERSION: string

const refusals = [
  Problem.at(401, "No token, or one that is not accepted."),
  Problem.at(403, "The key's plan does not include this, or the service answers on its own machine only.")
] as const

/** Lets in who may see how the service is. */
export class Admission extends HttpApiMiddleware.Tag<Admission>()("Admission", {
  failure: Schema.Union(...refusals),
  security: { bearer: HttpApiSecurity.bearer }
}) {}

/** Lets in who may ask for batches. */
export class Authorization extends HttpApiMiddleware.Tag<Authorization>()("Authorization", {
  failure: Schema.Union(...refusals),
  security: { bearer: HttpApiSecurity.bearer }
}) {}

const described = (description: string, example?: string) =>
  Schema.optional(
    Schema.String.annotations({ description, ...(example === undefined ? {} : { examples: [example] }) })
  )

const path = Schema.Struct({
  batch_id: Schema.String.annotations({
    description: "The id of the batch, a UUID.",
    jsonSchema: { type: "string", format: "uuid" }
  })
})

const Count = Schema.optional(Schema.Int)
const Time = Schema.optional(Schema.NullOr(Schema.String))

/** A job as the API describes it. Whatever else the API says is passed on as well. */
export const Job = Schema.Struct({
  batch_id: Schema.String,
  status: Schema.String.annotations({ description: "pending, processing, completed, failed; an open set." }),
  entity: Schema.optional(Schema.String),
  action: Schema.optional(Schema.String),
  identifier_count: Count,
  result_count: Count,
  entities_requested: Count,
  entities_fulfilled: Count,
  created_at: Time,
  completed_at: Time,
  error_message: Schema.optional(Schema.NullOr(Schema.String)),
  download_url: Schema.optional(Schema.NullOr(Schema.String)),
  download_urls: Schema.optional(Schema.NullOr(Schema.Array(Schema.String)))
}).annotations({ identifier: "Batch", description: "A batch job, with the upstream's own fields." })

const Page = Schema.Struct({
  jobs: Schema.Array(Job),
  next_cursor: Schema.optional(Schema.NullOr(Schema.String)),
  has_more: Schema.optional(Schema.Boolean)
}).annotations({ identifier: "Page" })

const badRequest = Problem.at(400, "A batch id that is no UUID, or a parameter that cannot be used.")
const noCredits = Problem.at(402, "The account has no credits left for this.")
const notFound = Problem.at(404, "The API knows no such batch for this account.")
const notCompleted = Problem.at(409, "The job is not completed yet; `Retry-After` says when to look again.")
const failed = Problem.at(422, "The job has failed; there are no results.")
const limited = Problem.at(429, "Too many requests; `Retry-After` says when to come again.")
const unusable = Problem.at(502, "The API or the file host cannot be used, or what came is wrong.")
const timeout = Problem.at(504, "The time was up before there was an answer.")
const noRoom = Problem.at(507, "This service has no room on its disk.")

const text = (contentType: string, description: string) =>
  Schema.String.pipe(HttpApiSchema.withEncoding({ kind: "Text", contentType })).annotations({ description })

const batches = HttpApiGroup.make("batches")
  .add(
    HttpApiEndpoint.get("list", "/batch")
      .setUrlParams(
        Schema.Struct({
          limit: described("Jobs a page, 1 to 100.", "20"),
          status: described("Only jobs in this state.", "processing"),
          cursor: described("Where to go on: the `next_cursor` of the page before.")
        })
      )
      .addSuccess(Page)
      .annotateContext(
        OpenApi.annotations({ description: "The account's jobs, newest first, as the upstream lists them." })
      )
  )
  .add(
    HttpApiEndpoint.get("status", "/batch/:batch_id")
      .setPath(path)
      .addSuccess(Job)
      .addError(notFound)
      .annotateContext(
        OpenApi.annotations({ description: "The job as it is now, as the upstream describes it." })
      )
  )
  .add(
    HttpApiEndpoint.get("wait", "/batch/:batch_id/wait")
      .setPath(path)
      .setUrlParams(
        Schema.Struct({ timeout: described("How long to wait, at most 1h. Default 60s.", "60s") })
      )
      .addSuccess(Job)
      .addError(notFound)
      .addError(timeout)
      .annotateContext(
        OpenApi.annotations({
          description: "Answers when the job has ended, or with its current state when the time is up."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("events", "/batch/:batch_id/events")
      .setPath(path)
      .addSuccess(
        text("text/event-stream", "`status` on every change, `end` last; each with the job as data.")
      )
      .addError(notFound)
      .annotateContext(
        OpenApi.annotations({
          description: "Server-Sent Events; goes on after a lost connection by `Last-Event-ID`."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("results", "/batch/:batch_id/results")
      .setPath(path)
      .setUrlParams(
        Schema.Struct({
          wait: described("Wait so long for the job to be completed, at most 1h.", "60s"),
          columns: described(
            "Of CSV: these columns, separated by commas; then rows stream at once.",
            "data.name"
          )
        })
      )
      .addSuccess(text("application/x-ndjson", "The records, one JSON object a line."))
      .addSuccess(text("application/gzip", "The bytes as delivered: gzipped NDJSON."))
      .addSuccess(text("text/csv", "The records flattened, with dotted headers."))
      .addError(notFound)
      .addError(Problem.at(406, "None of the media types that `Accept` allows is to be had."))
      .addError(notCompleted)
      .addError(failed)
      .addError(timeout)
      .addError(noRoom)
      .annotateContext(
        OpenApi.annotations({
          description:
            "All records, decompressed and joined, verified on the way. A stream that fails is broken off, never ended as if it were whole."
        })
      )
  )
  .addError(badRequest)
  .addError(noCredits)
  .addError(limited)
  .addError(unusable)
  .middleware(Authorization)

const Health = Schema.Struct({ status: Schema.Literal("ok") })

const Ready = Schema.Struct({
  status: Schema.Literal("ready", "draining", "unusable"),
  upstream: Schema.String,
  storage: Schema.String
})

const operations = HttpApiGroup.make("operations")
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(Health)
      .annotateContext(OpenApi.annotations({ description: "The process is up." }))
  )
  .add(
    HttpApiEndpoint.get("ready", "/ready")
      .addSuccess(Ready)
      .addError(
        Ready.annotations(HttpApiSchema.annotations({ status: 503, description: "Not ready, and why." }))
      )
      .annotateContext(OpenApi.annotations({ description: "Upstream and storage can be used." }))
  )

const metrics = HttpApiGroup.make("metrics")
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(text("text/plain; version=0.0.4", "Prometheus text."))
      .annotateContext(OpenApi.annotations({ description: "Counters, gauges and histograms." }))
  )
  .middleware(Admission)

/** All of it. */
export class Api extends HttpApi.make("batch-server")
  .add(batches)
  .add(operations)
  .add(metrics)
  .annotateContext(
    OpenApi.annotations({
      title: "Batch retriever",
      version: BATCH_SERVER_VERSION,
      description: "The Crustdata Batch API, with the polling, retrying and downloading done.",
      license: { name: "MIT" },
      transform: (spec) => spec
    })
  ) {}
