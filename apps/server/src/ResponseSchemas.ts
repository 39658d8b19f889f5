/**
 * The schemas of responses, of success and of failure, from which `Api` and its OpenAPI document are made.
 */
import * as JobKind from "@org/batch-core/JobKind"
import { Campaign as DurableCampaign, Retrieval as DurableRetrieval } from "@org/batch-durable"
import { Schema } from "effect"
import * as Problem from "./Problem.js"

const example = {
  batch_id: "96faf844-e303-4ba5-a622-56965e684878",
  status: "completed",
  entity: "company",
  action: "enrich",
  identifier_count: 1000,
  result_count: 1000,
  entities_requested: 1000,
  entities_fulfilled: 1000,
  created_at: "2025-11-01T12:00:00Z",
  completed_at: "2025-11-01T12:07:30Z",
  error_message: null,
  download_url: "https://files.example/96faf844.jsonl.gz?X-Amz-Signature=0a1b2c"
}

const shown = (jsonSchema: object) => ({ jsonSchema })

const text = (format?: string) =>
  Schema.optional(
    Schema.NullOr(Schema.String).annotations(
      shown({ type: ["string", "null"], ...(format === undefined ? {} : { format }) })
    )
  )

const Count = Schema.optional(Schema.Number.annotations(shown({ type: "integer", minimum: 0 })))

/** Fields that are not listed: whatever else the upstream sends is passed on. */
const more = {
  key: Schema.String,
  value: Schema.Unknown.annotations(
    shown({ type: ["string", "number", "boolean", "object", "array", "null"], items: {} })
  )
}

/** A batch job in the upstream's own shape. */
export const Job = Schema.Struct(
  {
    batch_id: Schema.String.annotations(shown({ type: "string", format: "uuid" })),
    status: Schema.String.annotations({
      description: "`pending`, `processing`, `completed`, `failed`; there may be others."
    }),
    entity: Schema.optional(Schema.String),
    action: Schema.optional(Schema.String),
    identifier_count: Count,
    result_count: Count,
    entities_requested: Count,
    entities_fulfilled: Count,
    created_at: text("date-time"),
    completed_at: text("date-time"),
    error_message: text(),
    download_url: text("uri"),
    download_urls: Schema.optional(Schema.NullOr(Schema.Array(Schema.String)))
  },
  more
).annotations({
  identifier: "Batch",
  description: "A batch job, with the upstream's own fields.",
  examples: [example]
})

/** A page of the account's batch jobs in the upstream's own shape. */
export const Page = Schema.Struct(
  {
    jobs: Schema.Array(Job),
    next_cursor: text(),
    has_more: Schema.optional(Schema.Boolean)
  },
  more
).annotations({ identifier: "Page", description: "A page of jobs, newest first." })

/** The answer to a submit in the upstream's own shape. */
export const Accepted = Schema.Struct(
  {
    batch_id: Schema.String.annotations(shown({ type: "string", format: "uuid" })),
    status: Schema.String,
    entity: Schema.optional(Schema.String),
    action: Schema.optional(Schema.String),
    identifier_count: Count,
    entities_requested: Count,
    status_url: Schema.optional(Schema.String)
  },
  more
).annotations({
  identifier: "Accepted",
  description: "A job that was accepted, with the upstream's own fields.",
  examples: [
    {
      batch_id: example.batch_id,
      status: "pending",
      entity: "company",
      action: "enrich",
      identifier_count: 2,
      entities_requested: 2,
      status_url: `/batch/${example.batch_id}`
    }
  ]
})

const exampleOf = {
  domain: "example.com",
  url: "https://www.linkedin.com/in/ada",
  email: "ada@example.com",
  id: 631466,
  text: "Example"
} as const

const filters = { op: "and", conditions: [{ field: "basic_info.name", type: "=", value: "Example" }] }

const propertyShape: Readonly<Record<string, object>> = {
  filters: { type: "object", description: "A group: `{op, conditions}`." },
  sorts: { type: "array", items: { type: "object" } },
  fields: { type: "array", items: { type: "string" } },
  verified: { type: "boolean" },
  webhook_url: { type: "string", format: "uri" },
  professional_network_search_url: { type: "string", format: "uri" },
  post_types: {}
}

/** The body of a submit: the properties that its kind has, and whatever else the upstream may know. */
export const submitted = (name: string) => {
  const kind = JobKind.named(name)
  const identifiers = kind?.identifiers ?? []
  const [first] = identifiers
  const listed = identifiers.map(({ name: property, type }) => [
    property,
    {
      type: "array",
      maxItems: kind?.cap,
      items: { type: type === "id" ? ["integer", "string"] : "string" }
    }
  ])
  const known = (kind?.properties ?? [])
    .filter((property) => !identifiers.some(({ name: identifier }) => identifier === property))
    .map((property) => [property, propertyShape[property] ?? { type: "integer" }])
  const inputs = first === undefined ? { filters } : { [first.name]: [exampleOf[first.type]] }
  return Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
    jsonSchema: {
      type: "object",
      description: "The body as the upstream takes it; other properties are passed on.",
      properties: Object.fromEntries([...listed, ...known]),
      required: kind?.required ?? [],
      examples: [
        { ...inputs, ...(kind?.required.includes("fields") === true ? { fields: ["contact"] } : {}) }
      ]
    }
  })
}

/** A JSON object of the upstream. */
export const Anything = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
  identifier: "Anything",
  jsonSchema: { type: "object", description: "The upstream's own answer." }
})

const retrievalExample = {
  retrieval_id: "3f0d7a3e-5a0c-8b1e-8c55-0c7a1d1f4e2b",
  state: "waiting" as const,
  batch_id: example.batch_id,
  destination: { type: "folder", path: `${example.batch_id}.jsonl.gz` },
  format: "jsonl.gz",
  attempt: 1,
  progress: { status: "processing", result_count: 0, bytes: 0, total_bytes: null, records: 0 },
  receipt: null,
  error: null,
  created_at: "2025-11-01T12:00:00.000Z",
  updated_at: "2025-11-01T12:00:02.000Z",
  next_look_at: "2025-11-01T12:00:05.000Z"
}

const destination = {
  type: "object",
  required: ["type"],
  properties: {
    type: { type: "string", enum: ["folder", "s3"] },
    path: {
      type: "string",
      description:
        "Of a folder: a file below `BATCH_SERVER_FOLDER`, or a folder if it ends in `/`; `<batch-id>.<ext>` if left out."
    },
    bucket: { type: "string", description: "Of S3." },
    key: { type: "string", description: "Of S3: the object, or a prefix if it ends in `/`." },
    endpoint: { type: "string", format: "uri", description: "Of S3: any but that of AWS." },
    region: { type: "string", description: "Of S3." }
  }
}

/** What is handed over. */
export const RetrievalRequest = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
  identifier: "RetrievalRequest",
  jsonSchema: {
    type: "object",
    required: ["batch_id", "destination"],
    properties: {
      batch_id: { type: "string", format: "uuid" },
      destination,
      format: { type: "string", description: "What the destination's name ends in, else `jsonl.gz`." },
      notify: {
        type: "object",
        required: ["url"],
        properties: { url: { type: "string", format: "uri" } },
        description: "Who is told of its end, signed as Standard Webhooks."
      },
      replace: { type: "boolean", description: "Whether a destination that exists is replaced." }
    },
    examples: [{ batch_id: example.batch_id, destination: { type: "folder" } }]
  }
})

/** A retrieval. */
export const Retrieval = Schema.Struct({
  retrieval_id: Schema.String.annotations(shown({ type: "string", format: "uuid" })),
  state: Schema.Literal(...DurableRetrieval.states),
  batch_id: Schema.String.annotations(shown({ type: "string", format: "uuid" })),
  destination: Schema.Unknown.annotations({ jsonSchema: destination }),
  format: Schema.String,
  attempt: Schema.Number.annotations(shown({ type: "integer", minimum: 1 })),
  progress: Schema.Struct({
    status: Schema.NullOr(Schema.String).annotations(shown({ type: ["string", "null"] })),
    result_count: Schema.Number.annotations(shown({ type: "integer", minimum: 0 })),
    bytes: Schema.Number.annotations(shown({ type: "integer", minimum: 0 })),
    total_bytes: Schema.NullOr(Schema.Number).annotations(shown({ type: ["integer", "null"], minimum: 0 })),
    records: Schema.Number.annotations(shown({ type: "integer", minimum: 0 }))
  }),
  receipt: Schema.Unknown.annotations({
    jsonSchema: { type: ["object", "null"], description: "The proof of what was delivered." }
  }),
  error: Schema.Unknown.annotations({
    jsonSchema: {
      type: ["object", "null"],
      required: ["type", "message"],
      properties: { type: { type: "string" }, message: { type: "string" } }
    }
  }),
  created_at: Schema.String.annotations(shown({ type: "string", format: "date-time" })),
  updated_at: Schema.String.annotations(shown({ type: "string", format: "date-time" })),
  next_look_at: Schema.NullOr(Schema.String).annotations(
    shown({ type: ["string", "null"], format: "date-time" })
  )
}).annotations({
  identifier: "Retrieval",
  description: "A job that was handed over.",
  examples: [retrievalExample]
})

/** Where the next page begins, of a list of what is in the store. */
const pageFields = {
  next_cursor: Schema.NullOr(Schema.String).annotations(shown({ type: ["string", "null"] })),
  has_more: Schema.Boolean
}

/** A page of retrievals. */
export const RetrievalPage = Schema.Struct({
  retrievals: Schema.Array(Retrieval),
  ...pageFields
}).annotations({ identifier: "RetrievalPage", description: "A page of retrievals, newest first." })

const zero = { type: "integer", minimum: 0 }
const zeroOrNull = { type: ["integer", "null"], minimum: 0 }
const figures = (names: ReadonlyArray<string>, shape: object = zero) => ({
  type: "object",
  required: names,
  properties: Object.fromEntries(names.map((name) => [name, shape]))
})
const plannedNames = ["rows", "unique", "rejected", "duplicates"]
const jobStates = ["total", "waiting", "running", "completed", "fetched", "failed", "undecided"]
const fateNames = ["matched", "not_found", "redacted", "rejected", "duplicate", "failed", "undecided"]

const campaignExample = {
  campaign_id: "c0c5d6a1-2f0e-8a1b-8f7d-6f6b1f0e9a3c",
  state: "running" as const,
  name: "",
  kind: "company/enrich",
  as: "domains",
  input: { name: "leads.csv", format: "csv", column: "website", bytes: 204_800, sha256: "9f86d081…" },
  body: {},
  format: "jsonl.gz",
  join: false,
  max_active: 4,
  max_credits: 5000,
  attempt: 1,
  progress: {
    rows: 5000,
    unique: 4900,
    rejected: 20,
    duplicates: 80,
    jobs: { total: 1, waiting: 0, running: 1, completed: 0, fetched: 0, failed: 0, undecided: 0 },
    records: 0,
    credits: { at_most: 4900, balance: 100_000 },
    notice: null
  },
  report: null,
  error: null,
  created_at: "2025-11-01T12:00:00.000Z",
  updated_at: "2025-11-01T12:00:02.000Z"
}

/** A campaign. */
export const Campaign = Schema.Struct({
  campaign_id: Schema.String.annotations(shown({ type: "string", format: "uuid" })),
  state: Schema.Literal(...DurableCampaign.states),
  name: Schema.String,
  kind: Schema.String,
  as: Schema.String.annotations({ description: "The property that the identifiers are." }),
  input: Schema.Unknown.annotations({
    jsonSchema: {
      type: "object",
      required: ["name", "format", "column", "bytes", "sha256"],
      properties: {
        name: { type: "string" },
        format: { type: "string", enum: ["csv", "tsv", "jsonl", "lines"] },
        column: { type: ["string", "null"] },
        bytes: zero,
        sha256: { type: "string" }
      },
      description: "The list, as it came."
    }
  }),
  body: Schema.Unknown.annotations({
    jsonSchema: { type: "object", description: "The rest of the body of each job." }
  }),
  format: Schema.String,
  join: Schema.Boolean,
  max_active: Schema.Number.annotations(shown({ type: "integer", minimum: 1 })),
  max_credits: Schema.NullOr(Schema.Number).annotations(shown({ type: ["number", "null"], minimum: 0 })),
  attempt: Schema.Number.annotations(shown({ type: "integer", minimum: 1 })),
  progress: Schema.Unknown.annotations({
    jsonSchema: {
      type: "object",
      required: [...plannedNames, "jobs", "records", "credits", "notice"],
      properties: {
        ...figures(plannedNames, zeroOrNull).properties,
        jobs: figures(jobStates),
        records: zero,
        credits: figures(["at_most", "balance"], { type: ["number", "null"] }),
        notice: { type: ["string", "null"], description: "Why it goes on slowly, or submits no more." }
      }
    }
  }),
  report: Schema.Unknown.annotations({
    jsonSchema: {
      type: ["object", "null"],
      required: [
        "campaign",
        "kind",
        "output",
        "rows",
        "unique",
        "fates",
        "records",
        "jobs",
        "credits",
        "complete"
      ],
      properties: {
        campaign: { type: "string" },
        kind: { type: "string" },
        output: { type: "string", description: "The path of the result." },
        rows: zero,
        unique: zero,
        fates: figures(fateNames),
        records: zero,
        jobs: { type: "array", items: { type: "object", required: ["batch_id", "status"] } },
        credits: figures(["at_most", "spent"], { type: ["number", "null"] }),
        complete: { type: "boolean", description: "Whether no row is `failed` or `undecided`." }
      },
      description: "What came of it, once it is done; the fates add up to the rows."
    }
  }),
  error: Schema.Unknown.annotations({
    jsonSchema: {
      type: ["object", "null"],
      required: ["type", "message"],
      properties: { type: { type: "string" }, message: { type: "string" } }
    }
  }),
  created_at: Schema.String.annotations(shown({ type: "string", format: "date-time" })),
  updated_at: Schema.String.annotations(shown({ type: "string", format: "date-time" }))
}).annotations({
  identifier: "Campaign",
  description: "A list that was handed in, and what becomes of it.",
  examples: [campaignExample]
})

/** A page of campaigns. */
export const CampaignPage = Schema.Struct({
  campaigns: Schema.Array(Campaign),
  ...pageFields
}).annotations({ identifier: "CampaignPage", description: "A page of campaigns, newest first." })

/** What the API sends to the `webhook_url` of a job. */
export const Hint = Schema.Record({ key: Schema.String, value: Schema.Unknown }).annotations({
  identifier: "Hint",
  jsonSchema: {
    type: "object",
    required: ["batch_id"],
    properties: { batch_id: { type: "string", format: "uuid" } },
    examples: [{ batch_id: example.batch_id }]
  }
})

/** The body of `GET /health`. */
export const Health = Schema.Struct({
  status: Schema.Literal("ok"),
  store: Schema.Literal("open", "not in use")
}).annotations({
  identifier: "Health",
  description: "The process is up."
})

/** The body of `GET /ready`: `upstream`, `storage` and `store` say `ok` or what is wrong. */
export const Ready = Schema.Struct({
  status: Schema.Literal("ready", "draining", "unusable"),
  upstream: Schema.String,
  storage: Schema.String,
  store: Schema.String
}).annotations({
  identifier: "Ready",
  description:
    "`upstream`, `storage` and `store` say `ok`, or what is wrong; `store` is `not in use` until a retrieval is handed over.",
  examples: [{ status: "ready", upstream: "ok", storage: "ok", store: "not in use" }]
})

/** 401 and 403: the caller may not do this. */
export const refusals = [
  Problem.at(401, "No token, or one that is not accepted."),
  Problem.at(403, "The key's plan does not include this, or the service answers on its own machine only.")
] as const

/** 429: a rate limit of the upstream or of this service. */
export const tooMany = Problem.at(429, "Too many requests; `Retry-After` says when to come again.")

/** 400: the request itself is wrong. */
export const badRequest = Problem.at(400, "A batch id that is no UUID, or a parameter that cannot be used.")

/** 402: the account has no credits. */
export const noCredits = Problem.at(402, "The account has no credits left for this.")

/** 404: the upstream does not know the batch. */
export const notFound = Problem.at(404, "The API knows no such batch for this account.")

/** 404: the upstream does not know it. */
export const unknownHere = Problem.at(404, "The API has no such thing.")

/** 413: too much at once. */
export const tooLarge = Problem.at(413, "The body is longer than 8 MiB.")

/** 415: the body is no JSON. */
export const notJson = Problem.at(415, "The body is not called `application/json`.")

/** 422: another request came under the same key. */
export const keyReused = Problem.at(422, "The `Idempotency-Key` belongs to another request.")

/** 406: content negotiation has failed. */
export const notAcceptable = Problem.at(406, "None of the media types that `Accept` allows is to be had.")

/** 416: there are no such bytes. */
export const noSuchBytes = Problem.at(416, "`Range` asks for bytes behind the last one.")

/** 409: the results are not there yet. */
export const notCompleted = Problem.at(
  409,
  "The job is not completed yet; `Retry-After` says when to look again."
)

/** 422: the job has failed, so there never are results. */
export const failed = Problem.at(422, "The job has failed; there are no results.")

/** 500: a bug of this service. */
export const bug = Problem.at(
  500,
  "A fault of this service; its log has more under the answer's `x-request-id`."
)

/** 502: the upstream or its file host failed. */
export const unusable = Problem.at(502, "The API or the file host cannot be used, or what came is wrong.")

/** 503: this service shuts down. */
export const draining = Problem.at(
  503,
  "This service is about to end; `Retry-After` says when to come again."
)

/** 504: a time limit has passed. */
export const timeout = Problem.at(504, "The time was up before there was an answer.")

/** 507: this service's disk is full. */
export const noRoom = Problem.at(507, "This service has no room on its disk.")

/** 404: no retrieval of this account. */
export const noRetrieval = Problem.at(404, "This account has no such retrieval.")

/** 409: the same retrieval with another `notify`. */
export const otherNotify = Problem.at(409, "It was handed over with another `notify`.")

/** 409: there is nothing to stop. */
export const hasEnded = Problem.at(409, "The retrieval has ended already.")

/** 409: there is nothing to try again. */
export const isFine = Problem.at(409, "The retrieval has neither failed nor been stopped.")

/** 413: no hint is so long. */
export const hintTooLarge = Problem.at(413, "The body is longer than 64 KiB.")

/** 503: the store cannot be asked, or this service shuts down. */
export const storeAway = Problem.at(
  503,
  "The store of retrievals cannot be reached, or this service is about to end; `Retry-After` says when to come again."
)

/** 400: the list cannot be used. */
export const badList = Problem.at(400, "A list, a parameter or an id that cannot be used.")

/** 404: no campaign of this account. */
export const noCampaign = Problem.at(404, "This account has no such campaign.")

/** 406: the fates are to be had as CSV and NDJSON. */
export const noSuchForm = Problem.at(406, "`Accept` allows neither `text/csv` nor `application/x-ndjson`.")

/** 408: a list came to a stop on its way. */
export const tooSlow = Problem.at(408, "The list did not come in time.")

/** 409: there is nothing to stop. */
export const campaignHasEnded = Problem.at(409, "The campaign has ended already.")

/** 409: there is nothing to try again. */
export const campaignIsFine = Problem.at(409, "The campaign is under way, or done and complete.")

/** 409: there is no result. */
export const noResult = Problem.at(409, "The campaign is not done.")

/** 413: the list is too long. */
export const listTooLong = Problem.at(413, "The body is longer than 1024 MiB, or it broke off.")

/** 415: it is not known what the list is. */
export const notAList = Problem.at(415, "The body is called no list, and `input_format` is missing.")
