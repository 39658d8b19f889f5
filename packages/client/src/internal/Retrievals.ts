/** What the service says of retrievals, in values that need no Effect. */
import { Receipt } from "@org/batch-core/Receipt"
import { Schema } from "effect"
import * as CoreFormat from "@org/batch-core/Format"
import type { Retrieval, RetrievalDestination } from "../Retrieval.js"
import type * as Answers from "./Answers.js"
import { decoded, nextOf, pageFields } from "./Answers.js"
import * as Plain from "./Plain.js"

const Destination = Schema.Union(
  Schema.Struct({ type: Schema.Literal("folder"), path: Schema.optional(Schema.String) }),
  Schema.Struct({
    type: Schema.Literal("s3"),
    bucket: Schema.String,
    key: Schema.String,
    endpoint: Schema.optional(Schema.String),
    region: Schema.optional(Schema.String)
  })
)

const Wire = Schema.Struct({
  retrieval_id: Schema.String,
  state: Schema.String,
  batch_id: Schema.String,
  destination: Destination,
  format: CoreFormat.Format,
  attempt: Schema.Number,
  progress: Schema.Struct({
    status: Schema.NullOr(Schema.String),
    result_count: Schema.Number,
    bytes: Schema.Number,
    total_bytes: Schema.NullOr(Schema.Number),
    records: Schema.Number
  }),
  receipt: Schema.NullOr(Receipt),
  error: Schema.NullOr(Schema.Struct({ type: Schema.String, message: Schema.String })),
  created_at: Schema.Date,
  updated_at: Schema.Date,
  next_look_at: Schema.NullOr(Schema.Date)
})

const plain = (one: typeof Wire.Type): Retrieval => ({
  retrievalId: one.retrieval_id,
  state: one.state,
  batchId: one.batch_id,
  destination: one.destination satisfies RetrievalDestination,
  format: one.format,
  attempt: one.attempt,
  progress: {
    status: one.progress.status ?? undefined,
    resultCount: one.progress.result_count,
    bytes: one.progress.bytes,
    totalBytes: one.progress.total_bytes ?? undefined,
    records: one.progress.records
  },
  receipt: one.receipt === null ? undefined : Plain.receipt(one.receipt),
  error: one.error ?? undefined,
  createdAt: one.created_at,
  updatedAt: one.updated_at,
  nextLookAt: one.next_look_at ?? undefined
})

const Page = Schema.Struct({ retrievals: Schema.Array(Wire), ...pageFields })

/** A retrieval; throws `MalformedResponse` of what is none. */
export const one = (value: unknown): Retrieval => plain(decoded(Wire, value, "retrieval"))

/** A retrieval as text. */
export const parsed = (text: string): Retrieval => plain(decoded(Schema.parseJson(Wire), text, "retrieval"))

/** A page of a list. */
export const page = (value: unknown): Answers.Page<Retrieval> => {
  const found = decoded(Page, value, "retrieval")
  return { items: found.retrievals.map(plain), next: nextOf(found) }
}
