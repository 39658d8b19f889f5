/**
 * A job and its time line: what it is at a moment follows from when it was created, so nothing has to tick.
 */
import type { Endpoint } from "./Endpoint.js"
import * as Identifier from "./Identifier.js"
import type { JobSpec, Step } from "./JobSpec.js"

/** A job, immutable: each change makes another one. */
export interface Job {
  readonly id: string
  /** 1 for the first job of the sandbox. */
  readonly sequence: number
  readonly entity: string
  readonly action: string
  /** Where it was submitted; `undefined` for a seeded job, which costs nothing. */
  readonly endpoint: Endpoint | undefined
  /** The submitted identifiers that have a line, in order; `undefined` when they are made up. */
  readonly identifiers: ReadonlyArray<string> | undefined
  /** The type the identifiers were submitted under. */
  readonly identifierType: string
  /** Group names to keep in a record; `undefined` for all. */
  readonly fields: ReadonlyArray<string> | undefined
  readonly identifierCount: number
  readonly requested: number
  readonly unresolved: number
  readonly records: number
  readonly recordBytes: number | undefined
  readonly resultCount: number
  readonly createdAt: number
  /** From when on the API shows it; it takes its slot at once. */
  readonly visibleAt: number
  /** Whether the rows of an identification say their `match_status`. */
  readonly matchStatus: boolean
  readonly wholeSeconds: boolean
  readonly timeline: ReadonlyArray<Step>
  readonly errorMessage: string
  readonly parts: number
  readonly members: number
  readonly offersMerged: boolean
  readonly offersParts: boolean
  readonly linkTtlSeconds: number
  /** Counts up when the links handed out are revoked. */
  readonly session: number
  readonly expiredAs: "AccessDenied" | "ExpiredToken"
  /** How often an object was replaced, or that it was deleted; by name, `*` for all. */
  readonly objects: ReadonlyMap<string, number | "Deleted">
}

/** What a sandbox gives to every job whose specification does not say otherwise. */
export interface Defaults {
  readonly pendingMs: number
  readonly processingMs: number
  readonly linkTtlSeconds: number
}

/** The state of a job at one moment. */
export interface Standing {
  readonly status: string
  /** When it came to this status, epoch milliseconds. */
  readonly since: number
  /** How much of its results is there, in [0, 1]. */
  readonly share: number
}

/** What a job has beside its specification: its id, place and time; and if it was submitted, what for. */
export interface Origin {
  readonly id: string
  readonly sequence: number
  readonly createdAt: number
  readonly endpoint?: Endpoint | undefined
  readonly identifiers?: ReadonlyArray<string> | undefined
  readonly identifierType?: string | undefined
  readonly fields?: ReadonlyArray<string> | undefined
}

const maxParts = 1000

/** Make a job by its specification. */
export const make = (spec: JobSpec, defaults: Defaults, origin: Origin): Job => {
  const entity = spec.entity ?? "company"
  const action = spec.action ?? "enrich"
  const records = spec.records ?? 100
  const unresolved = spec.unresolved ?? 0
  const inputs = Identifier.listsMisses(action) ? records : records + unresolved
  const requested = spec.requested ?? (isSearch(action) ? 1 : inputs)
  return {
    id: origin.id,
    sequence: origin.sequence,
    entity,
    action,
    endpoint: origin.endpoint,
    identifiers: origin.identifiers,
    identifierType:
      origin.identifierType ??
      (entity.startsWith("company") ? "domains" : "professional_network_profile_urls"),
    fields: origin.fields,
    identifierCount: isSearch(action) ? 1 : requested,
    requested,
    unresolved,
    records,
    recordBytes: spec.recordBytes,
    resultCount: spec.resultCount ?? records,
    createdAt: origin.createdAt,
    visibleAt: origin.createdAt + (spec.visibleAfterMs ?? 0),
    matchStatus: spec.matchStatus ?? true,
    wholeSeconds: spec.createdWithoutFraction ?? false,
    timeline: spec.statuses ?? timeline(spec, defaults),
    errorMessage: spec.errorMessage ?? "The batch could not be processed",
    parts: Math.min(spec.parts ?? Math.min(maxParts, Math.ceil(records / 100)), records),
    members: Math.min(spec.members ?? 1, records),
    offersMerged: (spec.downloadUrl ?? true) && (records > 0 || (spec.zeroResultTrap ?? true)),
    offersParts: (spec.downloadUrls ?? true) && records > 0,
    linkTtlSeconds: spec.linkTtlSeconds ?? defaults.linkTtlSeconds,
    session: 0,
    expiredAs: "AccessDenied",
    objects: new Map()
  }
}

/** The state of a job at a moment. Results grow from the end of `pending` to the end of the time line. */
export const standing = (job: Job, now: number): Standing => {
  const total = job.timeline.slice(0, -1).reduce((sum, step) => sum + step.ms, 0)
  const [first] = job.timeline
  const waiting = first?.status === "pending" && job.timeline.length > 1 ? first.ms : 0
  const elapsed = now - job.createdAt
  let until = 0
  let current = { status: "pending", since: job.createdAt }
  for (const step of job.timeline) {
    current = { status: step.status, since: job.createdAt + until }
    until += step.ms
    if (elapsed < until) break
  }
  const share = isOver(current.status) ? 1 : (elapsed - waiting) / Math.max(1, total - waiting)
  return { ...current, share: Math.min(1, Math.max(0, share)) }
}

/** The same job, over from `now` on. */
export const end = (
  job: Job,
  status: "completed" | "failed",
  now: number,
  errorMessage = job.errorMessage
): Job => {
  const elapsed = Math.max(0, now - job.createdAt)
  return {
    ...job,
    errorMessage,
    timeline: [
      { status: "processing", ms: elapsed },
      { status, ms: 0 }
    ]
  }
}

/** The same job with its links revoked. */
export const expireLinks = (job: Job, as: Job["expiredAs"]): Job => ({
  ...job,
  session: job.session + 1,
  expiredAs: as
})

/** The same job with an object replaced; without a name, all of them. */
export const replaceObject = (job: Job, name = "*"): Job => {
  const version = job.objects.get(name)
  return {
    ...job,
    objects: new Map(job.objects).set(name, version === "Deleted" ? version : (version ?? 0) + 1)
  }
}

/** The same job with an object deleted; without a name, all of them. */
export const deleteObject = (job: Job, name = "*"): Job => ({
  ...job,
  objects: new Map(job.objects).set(name, "Deleted")
})

/** How often an object was replaced, or that it is gone. */
export const objectVersion = (job: Job, name: string): number | "Deleted" => {
  const [all, own] = [job.objects.get("*") ?? 0, job.objects.get(name) ?? 0]
  return all === "Deleted" || own === "Deleted" ? "Deleted" : all + own
}

/** Inputs that were found; records for searches. */
export const found = ({ action, records, unresolved }: Job): number =>
  Identifier.listsMisses(action) ? Math.max(0, records - unresolved) : records

/** Whether a status is the last a job comes to. */
export const isOver = (status: string): boolean => status === "completed" || status === "failed"

/** Whether a status counts among the jobs under way. */
export const isActive = (status: string): boolean => status === "pending" || status === "processing"

/** Whether an action is a search of some kind. */
export const isSearch = (action: string): boolean => action.includes("search")

const timeline = (spec: JobSpec, defaults: Defaults): ReadonlyArray<Step> => [
  { status: "pending", ms: spec.pendingMs ?? defaults.pendingMs },
  { status: "processing", ms: spec.processingMs ?? defaults.processingMs },
  ...(spec.stuck === true ? [] : [{ status: spec.outcome ?? "completed", ms: 0 }])
]
