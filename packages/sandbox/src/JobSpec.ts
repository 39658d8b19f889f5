/**
 * What a seeded job is to be: the part of a test that says what the upstream holds.
 */
import { Schema } from "effect"

const Count = Schema.NonNegativeInt
const Positive = Schema.Int.pipe(Schema.positive())
const Flag = Schema.optional(Schema.Boolean)

/** A status and how long it lasts. The last one of a time line lasts for ever. */
export const Step = Schema.Struct({ status: Schema.String, ms: Count })
/** A status and how long it lasts. */
export type Step = typeof Step.Type

/**
 * A job to seed; every field has a default.
 *
 * What it is:
 * - `batchId`: a UUID, drawn from the seed unless given;
 * - `entity`, `action`: open sets, default `company`, `enrich`;
 * - `records`: lines of the results, default 100; `unresolved`: inputs that were not found, on top of the lines, or among them where
 *   the action lists misses (contact enrich, verify, identify); `requested`: default the two together, for searches 1;
 * - `recordBytes`: so many bytes a line, roughly; by default 1 to 40 KB, some 5.6 KB on average.
 *
 * Its time line:
 * - `pendingMs`, `processingMs`: default those of the sandbox; 0 and 0 is a job that is over at once;
 * - `outcome`: `completed` or `failed`, with `errorMessage`; `stuck`: it never ends;
 * - `statuses`: the whole time line, in place of all that; `error_message` goes with `failed`;
 * - `visibleAfterMs`: how long the status answers 404 and the list leaves it out, default 0.
 *
 * Its results:
 * - `parts`: part files, default one per 100 lines, at most 1000; `members`: gzip members of the merged file, default 1;
 * - `downloadUrl`, `downloadUrls`: `false` leaves the field out;
 * - `resultCount`: a lie about the number of lines;
 * - `zeroResultTrap`: with no records, a `download_url` whose object was never written; default `true`;
 * - `linkTtlSeconds`: default that of the sandbox;
 * - `matchStatus`: `false` for the older rows of identify, without `match_status`;
 * - `createdWithoutFraction`: time stamps in whole seconds.
 */
export const JobSpec = Schema.Struct({
  batchId: Schema.optional(Schema.UUID),
  entity: Schema.optional(Schema.String),
  action: Schema.optional(Schema.String),
  records: Schema.optional(Count),
  unresolved: Schema.optional(Count),
  requested: Schema.optional(Count),
  recordBytes: Schema.optional(Positive),
  pendingMs: Schema.optional(Count),
  processingMs: Schema.optional(Count),
  outcome: Schema.optional(Schema.Literal("completed", "failed")),
  errorMessage: Schema.optional(Schema.String),
  stuck: Flag,
  statuses: Schema.optional(Schema.NonEmptyArray(Step)),
  visibleAfterMs: Schema.optional(Count),
  parts: Schema.optional(Positive),
  members: Schema.optional(Positive),
  downloadUrl: Flag,
  downloadUrls: Flag,
  resultCount: Schema.optional(Count),
  zeroResultTrap: Flag,
  linkTtlSeconds: Schema.optional(Positive),
  matchStatus: Flag,
  createdWithoutFraction: Flag
})
/** A job to seed; every field has a default. */
export type JobSpec = typeof JobSpec.Type

/** What can be said of a submitted job, whose kind and inputs come from its submit. */
export const SubmittedSpec = JobSpec.omit("batchId", "entity", "action", "records", "unresolved", "requested")
/** What can be said of a submitted job, whose kind and inputs come from its submit. */
export type SubmittedSpec = typeof SubmittedSpec.Type

/** What the `nth` job is to be that is submitted and accepted from now on, counted from 1. */
export const SubmitRule = Schema.Struct({ nth: Positive, job: SubmittedSpec })
/** What the `nth` job is to be that is submitted and accepted from now on, counted from 1. */
export type SubmitRule = typeof SubmitRule.Type

/**
 * What can be done to a job under way:
 *
 * - `complete`, `fail`: it ends now;
 * - `replaceObject`: another object of equal size and valid rows, under a new `ETag`; `deleteObject`: 404 from now on.
 *   `object` is `merged.jsonl.gz`, `part-000.jsonl.gz`, …; without it, all objects;
 * - `expireLinks`: links handed out so far are past their time; later ones hold;
 * - `linkTtl`: how long later links hold.
 */
export const JobAction = Schema.Union(
  Schema.Struct({ action: Schema.Literal("complete") }),
  Schema.Struct({ action: Schema.Literal("fail"), message: Schema.optional(Schema.String) }),
  Schema.Struct({ action: Schema.Literal("replaceObject"), object: Schema.optional(Schema.String) }),
  Schema.Struct({ action: Schema.Literal("deleteObject"), object: Schema.optional(Schema.String) }),
  Schema.Struct({
    action: Schema.Literal("expireLinks"),
    as: Schema.optional(Schema.Literal("AccessDenied", "ExpiredToken"))
  }),
  Schema.Struct({ action: Schema.Literal("linkTtl"), seconds: Positive })
)
/** What can be done to a job under way. */
export type JobAction = typeof JobAction.Type
