/**
 * The definition of the HTTP API: its paths, their parameters, responses and errors. The routes, the OpenAPI document,
 * the page that shows it and the names of routes in metrics are all derived from it.
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
import type * as SubmitRequest from "@org/batch-core/SubmitRequest"
import { Campaign, Retrieval } from "@org/batch-durable"
import { Schema } from "effect"
import * as ApiDocument from "./ApiDocument.js"
import * as ResponseSchemas from "./ResponseSchemas.js"
import { version } from "./Version.js"

const bearer = HttpApiSecurity.bearer.pipe(
  HttpApiSecurity.annotate(
    OpenApi.Description,
    "One of the service's own tokens; your own API key, if the service has none; nothing, if it has a key and no tokens."
  )
)

/** Authorization for `/metrics`: one of the service's tokens, if it has any. */
export class MetricsAuthorization extends HttpApiMiddleware.Tag<MetricsAuthorization>()(
  "MetricsAuthorization",
  {
    failure: Schema.Union(...ResponseSchemas.refusals),
    security: { bearer }
  }
) {}

/** Authorization for batches: one of the service's tokens, if it has any, and a key for the upstream from one of the two sides. */
export class BatchAuthorization extends HttpApiMiddleware.Tag<BatchAuthorization>()("BatchAuthorization", {
  failure: Schema.Union(...ResponseSchemas.refusals),
  security: { bearer }
}) {}

const parameter = (jsonSchema: object) =>
  Schema.String.annotations({ jsonSchema: { type: "string", ...jsonSchema } })

const path = Schema.Struct({
  batch_id: parameter({
    description: "The id of the batch.",
    format: "uuid",
    examples: ["96faf844-e303-4ba5-a622-56965e684878"]
  })
})

/** The path of a job's status. */
export const statusPath = "/batch/:batch_id"

const cursor = Schema.optional(
  parameter({ description: "Where to go on: the `next_cursor` of the page before." })
)

/** The parameters of a page of what is in the store. */
const pageOf = (what: string) => ({
  limit: Schema.optional(
    parameter({ description: `${what} a page.`, type: "integer", minimum: 1, maximum: 100, default: 20 })
  ),
  cursor
})

/** What is said of following one thing in the store. */
const followed = (what: "retrieval" | "campaign", id: string) =>
  OpenApi.annotations({
    summary: `Follow a ${what}`,
    description: "Server-Sent Events; goes on after a lost connection by `Last-Event-ID`.",
    transform: ({ parameters, responses, ...operation }) => ({
      ...operation,
      parameters: [...parameters, ApiDocument.lastEventId],
      responses: ApiDocument.events(responses, {
        event: what,
        what: `the ${what}`,
        data: `{"${what}_id":"${id}","state":"done"}`
      })
    })
  })

const batches = HttpApiGroup.make("batches", { topLevel: true })
  .add(
    HttpApiEndpoint.get("list", "/batch")
      .setUrlParams(
        Schema.Struct({
          limit: Schema.optional(
            parameter({
              description: "Jobs a page.",
              type: "integer",
              minimum: 1,
              maximum: 100,
              examples: [20]
            })
          ),
          status: Schema.optional(
            parameter({ description: "Only jobs in this state, such as `processing`." })
          ),
          cursor
        })
      )
      .addSuccess(ResponseSchemas.Page)
      .annotateContext(
        OpenApi.annotations({
          summary: "List jobs",
          description: "The account's jobs, newest first, as the upstream lists them."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("status", statusPath)
      .setPath(path)
      .addSuccess(ResponseSchemas.Job)
      .addError(ResponseSchemas.notFound)
      .annotateContext(
        OpenApi.annotations({
          summary: "Look at a job",
          description: "The job as it is now, as the upstream describes it."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("wait", "/batch/:batch_id/wait")
      .setPath(path)
      .setUrlParams(
        Schema.Struct({
          timeout: Schema.optional(
            parameter({
              description: "How long to wait, such as `30s` or `1m30s`; at most `1h`.",
              default: "60s",
              examples: ["60s"]
            })
          )
        })
      )
      .addSuccess(ResponseSchemas.Job)
      .addError(ResponseSchemas.notFound)
      .addError(ResponseSchemas.timeout)
      .annotateContext(
        OpenApi.annotations({
          summary: "Wait for a job",
          description: "Answers when the job has ended, or with its current state when the time is up."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("events", "/batch/:batch_id/events")
      .setPath(path)
      .addSuccess(Schema.String)
      .addError(ResponseSchemas.notFound)
      .annotateContext(
        OpenApi.annotations({
          summary: "Follow a job",
          description: "Server-Sent Events; goes on after a lost connection by `Last-Event-ID`.",
          transform: ({ parameters, responses, ...operation }) => ({
            ...operation,
            parameters: [...parameters, ApiDocument.lastEventId],
            responses: ApiDocument.events(responses)
          })
        })
      )
  )
  .add(
    HttpApiEndpoint.get("results", "/batch/:batch_id/results")
      .setPath(path)
      .setUrlParams(
        Schema.Struct({
          wait: Schema.optional(
            parameter({
              description: "How long to wait for the job to be completed; at most `1h`.",
              default: "0s",
              examples: ["60s"]
            })
          ),
          columns: Schema.optional(
            parameter({
              description:
                "Of CSV: these columns, such as `internal_id,data.basic_info.name`; rows then come at once, otherwise once all columns are known."
            })
          )
        })
      )
      .addSuccess(Schema.String)
      .addError(ResponseSchemas.notFound)
      .addError(ResponseSchemas.notAcceptable)
      .addError(ResponseSchemas.notCompleted)
      .addError(ResponseSchemas.noSuchBytes)
      .addError(ResponseSchemas.failed)
      .addError(ResponseSchemas.timeout)
      .addError(ResponseSchemas.noRoom)
      .annotateContext(
        OpenApi.annotations({
          summary: "Read the results",
          description:
            "All records, decompressed and joined, verified on the way. A stream that fails is broken off, never ended as if it were whole.",
          transform: ({ parameters, responses, ...operation }) => ({
            ...operation,
            parameters: [...parameters, ...ApiDocument.ofResults],
            responses: ApiDocument.results(responses)
          })
        })
      )
  )
  .addError(ResponseSchemas.badRequest)
  .addError(ResponseSchemas.noCredits)
  .addError(ResponseSchemas.tooMany)
  .addError(ResponseSchemas.bug)
  .addError(ResponseSchemas.unusable)
  .addError(ResponseSchemas.draining)
  .middleware(BatchAuthorization)
  .annotateContext(OpenApi.annotations({ description: "Jobs, and what comes of them." }))

/** The path that starts jobs of a kind. */
const submit = <const Kind extends SubmitRequest.KindName, const Path extends `/batch/${string}`>(
  kind: Kind,
  route: Path,
  summary: string
) =>
  HttpApiEndpoint.post(kind, route)
    .setHeaders(
      Schema.Struct({
        "idempotency-key": Schema.optional(
          parameter({
            description:
              "1 to 255 printable characters, such as a UUID, kept for a day: the same key and body again is the same job, another body under it is a 422.",
            examples: ["5f0c1f9e-7a52-4d0b-9f2e-0d6a3f1b9c11"]
          })
        )
      })
    )
    .setPayload(ResponseSchemas.submitted(kind))
    .addSuccess(ResponseSchemas.Accepted)
    .addError(ResponseSchemas.tooLarge)
    .addError(ResponseSchemas.notJson)
    .addError(ResponseSchemas.keyReused)
    .addError(ResponseSchemas.noRoom)
    .annotateContext(
      OpenApi.annotations({
        summary,
        description:
          "Starts a job, once: an answer that is lost is looked for among the account's jobs, and is a 502 `SubmitUnknown` if that does not tell."
      })
    )

const submits = HttpApiGroup.make("submits", { topLevel: true })
  .add(submit("company/enrich", "/batch/company/enrich", "Enrich companies"))
  .add(submit("company/search", "/batch/company/search", "Search companies"))
  .add(
    submit("company/search-live", "/batch/company/professional_network/search/live", "Search companies live")
  )
  .add(submit("person/enrich", "/batch/person/enrich", "Enrich people"))
  .add(submit("person/enrich-live", "/batch/person/professional_network/enrich/live", "Enrich people live"))
  .add(submit("person/search", "/batch/person/search", "Search people"))
  .add(submit("person/search-live", "/batch/person/professional_network/search/live", "Search people live"))
  .add(submit("person/contact-enrich", "/batch/person/contact/enrich", "Find contact data of people"))
  .add(submit("person/identify", "/batch/person/identify", "Identify people"))
  .add(submit("person/verify", "/batch/person/verify", "Verify people"))
  .add(submit("job/search", "/batch/job/search", "Search jobs of companies"))
  .add(
    submit(
      "social-post/enrich-live",
      "/batch/social_post/professional_network/enrich/live",
      "Fetch posts live"
    )
  )
  .addError(ResponseSchemas.badRequest)
  .addError(ResponseSchemas.noCredits)
  .addError(ResponseSchemas.tooMany)
  .addError(ResponseSchemas.bug)
  .addError(ResponseSchemas.unusable)
  .addError(ResponseSchemas.draining)
  .middleware(BatchAuthorization)
  .annotateContext(OpenApi.annotations({ description: "Starting jobs." }))

/** A call about the account. */
const accountCall = <const Name extends string, const Path extends `/${string}`>(
  name: Name,
  route: Path,
  summary: string
) =>
  HttpApiEndpoint.get(name, route)
    .addSuccess(ResponseSchemas.Anything)
    .addError(ResponseSchemas.unknownHere)
    .annotateContext(
      OpenApi.annotations({ summary, description: "The API's own answer to the same path and query; free." })
    )

const account = HttpApiGroup.make("account", { topLevel: true })
  .add(accountCall("credits", "/user/credits", "How many credits are left?"))
  .add(accountCall("endpoints", "/account/endpoints", "What does the plan include?"))
  .add(accountCall("usage", "/account/usage/events", "What was asked?"))
  .add(
    accountCall("otherAccountCall", "/account/*", "Other calls about the account").annotate(
      OpenApi.Exclude,
      true
    )
  )
  .addError(ResponseSchemas.badRequest)
  .addError(ResponseSchemas.noCredits)
  .addError(ResponseSchemas.tooMany)
  .addError(ResponseSchemas.bug)
  .addError(ResponseSchemas.unusable)
  .addError(ResponseSchemas.draining)
  .middleware(BatchAuthorization)
  .annotateContext(OpenApi.annotations({ description: "The account." }))

const retrievalPath = Schema.Struct({
  retrieval_id: parameter({
    description: "The id of the retrieval.",
    format: "uuid",
    examples: ["3f0d7a3e-5a0c-8b1e-8c55-0c7a1d1f4e2b"]
  })
})

const retrievals = HttpApiGroup.make("retrievals", { topLevel: true })
  .add(
    HttpApiEndpoint.post("handOver", "/retrievals")
      .setPayload(ResponseSchemas.RetrievalRequest)
      .addSuccess(ResponseSchemas.Retrieval.annotations(HttpApiSchema.annotations({ status: 202 })))
      .addError(ResponseSchemas.otherNotify)
      .addError(ResponseSchemas.tooLarge)
      .addError(ResponseSchemas.notJson)
      .annotateContext(
        OpenApi.annotations({
          summary: "Hand a job over",
          description:
            "When the job is completed, its verified results are put there, and `notify` is told. The same job, destination and format again is the same retrieval, and a 200.",
          transform: ({ responses, ...operation }) => ({
            ...operation,
            responses: ApiDocument.handedOver(responses)
          })
        })
      )
  )
  .add(
    HttpApiEndpoint.get("retrievals", "/retrievals")
      .setUrlParams(
        Schema.Struct({
          state: Schema.optional(
            parameter({ description: "Only retrievals in this state.", enum: [...Retrieval.states] })
          ),
          batch_id: Schema.optional(
            parameter({ description: "Only retrievals of this batch.", format: "uuid" })
          ),
          ...pageOf("Retrievals")
        })
      )
      .addSuccess(ResponseSchemas.RetrievalPage)
      .annotateContext(
        OpenApi.annotations({
          summary: "List retrievals",
          description: "The account's retrievals, newest first; those that have ended are kept for 90 days."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("retrieval", "/retrievals/:retrieval_id")
      .setPath(retrievalPath)
      .addSuccess(ResponseSchemas.Retrieval)
      .addError(ResponseSchemas.noRetrieval)
      .annotateContext(
        OpenApi.annotations({ summary: "Look at a retrieval", description: "The retrieval as it is now." })
      )
  )
  .add(
    HttpApiEndpoint.get("retrievalEvents", "/retrievals/:retrieval_id/events")
      .setPath(retrievalPath)
      .addSuccess(Schema.String)
      .addError(ResponseSchemas.noRetrieval)
      .annotateContext(followed("retrieval", "3f0d7a3e-…"))
  )
  .add(
    HttpApiEndpoint.del("stop", "/retrievals/:retrieval_id")
      .setPath(retrievalPath)
      .addSuccess(ResponseSchemas.Retrieval)
      .addError(ResponseSchemas.noRetrieval)
      .addError(ResponseSchemas.hasEnded)
      .annotateContext(
        OpenApi.annotations({
          summary: "Stop a retrieval",
          description: "What is unfinished is removed, the record is kept; the job itself goes on."
        })
      )
  )
  .add(
    HttpApiEndpoint.post("retry", "/retrievals/:retrieval_id/retry")
      .setPath(retrievalPath)
      .addSuccess(ResponseSchemas.Retrieval.annotations(HttpApiSchema.annotations({ status: 202 })))
      .addError(ResponseSchemas.noRetrieval)
      .addError(ResponseSchemas.isFine)
      .annotateContext(
        OpenApi.annotations({
          summary: "Try a retrieval again",
          description: "Begins one anew that has failed or was stopped."
        })
      )
  )
  .addError(ResponseSchemas.badRequest)
  .addError(ResponseSchemas.tooMany)
  .addError(ResponseSchemas.bug)
  .addError(ResponseSchemas.storeAway)
  .middleware(BatchAuthorization)
  .annotateContext(OpenApi.annotations({ description: "Handing jobs over, and going away." }))

const campaignPath = Schema.Struct({
  campaign_id: parameter({
    description: "The id of the campaign.",
    format: "uuid",
    examples: ["c0c5d6a1-2f0e-8a1b-8f7d-6f6b1f0e9a3c"]
  })
})

const limits = {
  max_active: Schema.optional(
    parameter({ description: "Jobs active at a time, at most.", type: "integer", minimum: 1, maximum: 100 })
  ),
  max_credits: Schema.optional(
    parameter({
      description:
        "Credits that it may cost all in all, at most: what might cost more is refused before it is sent.",
      type: "number",
      minimum: 0
    })
  )
}

/** A file that comes of a campaign. */
const campaignFile = <const Name extends string, const Path extends `/campaigns/${string}`>(
  name: Name,
  route: Path,
  told: { readonly summary: string; readonly description: string },
  contents: Readonly<Record<string, string>>
) =>
  HttpApiEndpoint.get(name, route)
    .setPath(campaignPath)
    .addSuccess(Schema.String)
    .addError(ResponseSchemas.noCampaign)
    .addError(ResponseSchemas.noResult)
    .addError(ResponseSchemas.noSuchBytes)
    .annotateContext(
      OpenApi.annotations({
        ...told,
        transform: ({ parameters, responses, ...operation }) => ({
          ...operation,
          parameters: [...parameters, ...ApiDocument.ofFile],
          responses: ApiDocument.file(responses, contents)
        })
      })
    )

const csv = "text/csv; charset=utf-8; header=present"

const campaigns = HttpApiGroup.make("campaigns", { topLevel: true })
  .add(
    HttpApiEndpoint.post("handIn", "/campaigns")
      .setHeaders(
        Schema.Struct({
          "idempotency-key": Schema.optional(
            parameter({
              description: "1 to 255 printable characters: another campaign under the same key is a 422."
            })
          )
        })
      )
      .setUrlParams(
        Schema.Struct({
          kind: Schema.optional(
            parameter({
              description: "The kind of job, such as `company/enrich`; needed here or in the form.",
              examples: ["company/enrich"]
            })
          ),
          column: Schema.optional(
            parameter({ description: "The column, or the field, that holds the identifiers." })
          ),
          as: Schema.optional(
            parameter({
              description: "The property that the identifiers are, where the kind takes several.",
              examples: ["domains"]
            })
          ),
          fields: Schema.optional(
            parameter({ description: "The `fields` of the jobs, separated by commas." })
          ),
          body: Schema.optional(
            parameter({ description: "The rest of the body of each job, a JSON object." })
          ),
          input_format: Schema.optional(
            parameter({
              description: "What the list is; by default what its media type, or its name in a form, says.",
              enum: ["csv", "tsv", "jsonl", "lines"]
            })
          ),
          format: Schema.optional(
            parameter({
              description: "The format of the result.",
              enum: ["jsonl.gz", "jsonl", "csv"],
              default: "jsonl.gz"
            })
          ),
          join: Schema.optional(
            parameter({
              description: "One line per row of the list, with its record.",
              enum: ["true", "false"],
              default: "false"
            })
          ),
          name: Schema.optional(
            parameter({
              description: "The same list under another name is another campaign.",
              maxLength: 200
            })
          ),
          ...limits,
          yes: Schema.optional(
            parameter({
              description: "`true` begins without `max_credits`, bounded by the account's balance alone.",
              enum: ["true", "false"]
            })
          )
        })
      )
      .addSuccess(ResponseSchemas.Campaign.annotations(HttpApiSchema.annotations({ status: 202 })))
      .addError(ResponseSchemas.tooSlow)
      .addError(ResponseSchemas.listTooLong)
      .addError(ResponseSchemas.notAList)
      .addError(ResponseSchemas.keyReused)
      .addError(ResponseSchemas.noRoom)
      .annotateContext(
        OpenApi.annotations({
          summary: "Hand a list in",
          description:
            "The list becomes as many jobs as it takes and one verified result; nothing is submitted twice, and every row has a fate. The same list, kind, options and name again is the same campaign, and a 200.",
          transform: ({ responses, ...operation }) => ({
            ...operation,
            requestBody: ApiDocument.list,
            responses: ApiDocument.handedOver(responses)
          })
        })
      )
  )
  .add(
    HttpApiEndpoint.get("campaigns", "/campaigns")
      .setUrlParams(
        Schema.Struct({
          state: Schema.optional(
            parameter({ description: "Only campaigns in this state.", enum: [...Campaign.states] })
          ),
          ...pageOf("Campaigns")
        })
      )
      .addSuccess(ResponseSchemas.CampaignPage)
      .annotateContext(
        OpenApi.annotations({
          summary: "List campaigns",
          description: "The account's campaigns, newest first; those that have ended are kept for 90 days."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("campaign", "/campaigns/:campaign_id")
      .setPath(campaignPath)
      .addSuccess(ResponseSchemas.Campaign)
      .addError(ResponseSchemas.noCampaign)
      .annotateContext(
        OpenApi.annotations({ summary: "Look at a campaign", description: "The campaign as it is now." })
      )
  )
  .add(
    HttpApiEndpoint.get("campaignEvents", "/campaigns/:campaign_id/events")
      .setPath(campaignPath)
      .addSuccess(Schema.String)
      .addError(ResponseSchemas.noCampaign)
      .annotateContext(followed("campaign", "c0c5d6a1-…"))
  )
  .add(
    campaignFile(
      "campaignResults",
      "/campaigns/:campaign_id/results",
      {
        summary: "Read the result",
        description:
          "The joined and verified records of all jobs, in the format that the campaign was begun with."
      },
      {
        "application/gzip": "Gzipped JSON lines, of a campaign with the format `jsonl.gz`.",
        "application/x-ndjson": "JSON lines, of one with the format `jsonl`.",
        [csv]: "A table, of one with the format `csv`."
      }
    )
  )
  .add(
    campaignFile(
      "fates",
      "/campaigns/:campaign_id/fates",
      {
        summary: "What became of each row",
        description:
          "A line for each row of the list, in its order: `row,identifier,fate,reason,batch_id,duplicate_of`."
      },
      {
        [csv]: "A table with a header.",
        "application/x-ndjson": "A JSON object a line, where `Accept` asks for that; always the whole."
      }
    ).addError(ResponseSchemas.noSuchForm)
  )
  .add(
    campaignFile(
      "remainder",
      "/campaigns/:campaign_id/remainder",
      {
        summary: "What is worth submitting again",
        description:
          "The rows that were not found or whose jobs failed, in the list's own columns; never those of people who opted out."
      },
      { [csv]: "A table with a header." }
    )
  )
  .add(
    HttpApiEndpoint.del("stopCampaign", "/campaigns/:campaign_id")
      .setPath(campaignPath)
      .addSuccess(ResponseSchemas.Campaign)
      .addError(ResponseSchemas.noCampaign)
      .addError(ResponseSchemas.campaignHasEnded)
      .annotateContext(
        OpenApi.annotations({
          summary: "Stop a campaign",
          description:
            "No more is submitted and nothing fetched; jobs that run go on at the API, and `retry` goes on from here."
        })
      )
  )
  .add(
    HttpApiEndpoint.post("retryCampaign", "/campaigns/:campaign_id/retry")
      .setPath(campaignPath)
      .setUrlParams(Schema.Struct(limits))
      .addSuccess(ResponseSchemas.Campaign.annotations(HttpApiSchema.annotations({ status: 202 })))
      .addError(ResponseSchemas.noCampaign)
      .addError(ResponseSchemas.campaignIsFine)
      .annotateContext(
        OpenApi.annotations({
          summary: "Go on with a campaign",
          description:
            "One that has failed, was stopped, or is done and not complete: what is undecided is looked for, and the inputs of failed jobs are submitted again, which costs again. Limits that are named replace those before."
        })
      )
  )
  .addError(ResponseSchemas.badList)
  .addError(ResponseSchemas.tooMany)
  .addError(ResponseSchemas.bug)
  .addError(ResponseSchemas.storeAway)
  .middleware(BatchAuthorization)
  .annotateContext(OpenApi.annotations({ description: "Lists of any length, and what comes of them." }))

const webhooks = HttpApiGroup.make("webhooks", { topLevel: true })
  .add(
    HttpApiEndpoint.post("hint", "/webhooks/crustdata")
      .setPayload(ResponseSchemas.Hint)
      .addSuccess(Schema.Void.annotations(HttpApiSchema.annotations({ status: 202 })))
      .addError(ResponseSchemas.hintTooLarge)
      .addError(ResponseSchemas.bug)
      .addError(ResponseSchemas.draining)
      .annotateContext(
        OpenApi.annotations({
          summary: "A job may have changed",
          description:
            "For the `webhook_url` of a job. Anybody may send it, so it makes the service look at that job earlier, at most."
        })
      )
  )
  .annotateContext(OpenApi.annotations({ description: "From the API." }))

const operations = HttpApiGroup.make("operations", { topLevel: true })
  .add(
    HttpApiEndpoint.get("health", "/health")
      .addSuccess(ResponseSchemas.Health)
      .annotateContext(
        OpenApi.annotations({
          summary: "Is it up?",
          description: "The process is up; nothing else is looked at."
        })
      )
  )
  .add(
    HttpApiEndpoint.get("ready", "/ready")
      .addSuccess(ResponseSchemas.Ready)
      .addError(
        ResponseSchemas.Ready.annotations(
          HttpApiSchema.annotations({ status: 503, description: "Not ready, and why." })
        )
      )
      .annotateContext(
        OpenApi.annotations({
          summary: "Can it work?",
          description:
            "Upstream, storage and store can be used. What was found of the first two holds for a while."
        })
      )
  )
  .annotateContext(OpenApi.annotations({ description: "For probes." }))

const metrics = HttpApiGroup.make("metrics", { topLevel: true })
  .add(
    HttpApiEndpoint.get("metrics", "/metrics")
      .addSuccess(
        Schema.String.annotations({ description: "Prometheus text." }).pipe(
          HttpApiSchema.withEncoding({ kind: "Text", contentType: "text/plain; version=0.0.4" })
        )
      )
      .annotateContext(
        OpenApi.annotations({ summary: "What it counts", description: "Counters, gauges and histograms." })
      )
  )
  .middleware(MetricsAuthorization)
  .annotateContext(OpenApi.annotations({ description: "For Prometheus." }))

/** The whole API. */
export class Api extends HttpApi.make("batch-server")
  .add(batches)
  .add(submits)
  .add(account)
  .add(retrievals)
  .add(campaigns)
  .add(webhooks)
  .add(operations)
  .add(metrics)
  .annotateContext(
    OpenApi.annotations({
      title: "Batch retriever",
      version,
      description:
        "The Crustdata Batch API, with the polling, retrying and downloading done. Every answer has an `x-request-id`, the caller's own if it sent one; every failure has the shape of `Error`.",
      license: { name: "MIT" },
      servers: [{ url: "/", description: "This service." }],
      transform: ({ components, info, paths, ...document }) => ({
        ...document,
        info: { ...info, contact: { name: "The maintainers of the batch retriever" } },
        paths: ApiDocument.paths(paths),
        components: { ...components, schemas: ApiDocument.schemas(components.schemas) }
      })
    })
  ) {}
