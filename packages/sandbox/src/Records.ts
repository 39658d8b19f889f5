/**
 * The lines of a job's results, made one by one. A line is a head of its own (identifiers, ids, names) on a tail from a pool of
 * bodies rendered once, so that a million lines cost little more than copying them.
 */
import * as Envelope from "./Envelope.js"
import * as Identifier from "./Identifier.js"
import * as Job from "./Job.js"
import * as RecordShape from "./RecordShape.js"
import * as RecordText from "./RecordText.js"
import * as Seed from "./Seed.js"

/** A line in two pieces, the second ending in a line feed. */
export type Line = readonly [head: Uint8Array, tail: Uint8Array]

/** What every record of a job is made with. */
interface Kind {
  readonly shape: RecordShape.RecordShape
  readonly envelope: Envelope.Envelope
  readonly fields: ReadonlyArray<string> | undefined
  readonly recordBytes: number | undefined
}

/** Whom a line is about. */
interface Subject {
  readonly n: number
  readonly identifier: string
  readonly identity: Record<string, unknown>
  readonly perInput: RecordShape.Groups
}

const lineFeed = Buffer.from("\n")
const poolBytes = 8 * 1024 * 1024
const poolSize = 512
const longText = 64 * 1024
const leastWithLists = 1000
/** What a head takes, roughly. */
const headBytes = 280

/** The lines of a job, by index; the same for the same seed and job. */
export const lines = (seed: number, job: Job.Job): ((index: number) => Line) => {
  const kind: Kind = {
    shape: RecordShape.of(job.entity, job.action),
    envelope: Envelope.of(job),
    fields: job.fields,
    recordBytes: job.recordBytes
  }
  const tail = tails(seed, job, kind)
  const first = Seed.make(seed, "job", job.sequence).int(1, 8_000_000)
  return (index) => {
    const choice = Seed.light(seed, job.sequence, index)
    const subject = subjectOf(job, kind.shape, index, first, choice)
    return isMiss(job, index)
      ? [Buffer.from(kind.envelope.miss(subject.identifier, subject.n)), lineFeed]
      : [Buffer.from(renderHead(kind, subject)), tail(choice)]
  }
}

/** The pool, filled as it is used. */
const tails = (seed: number, job: Job.Job, kind: Kind): ((choice: Seed.Seed) => Uint8Array) => {
  const pool: Array<Buffer | undefined> = []
  const size = Math.max(1, Math.min(poolSize, Math.floor(poolBytes / (job.recordBytes ?? 1))))
  return (choice) => {
    const slot = choice.int(0, size - 1)
    return (pool[slot] ??= Buffer.from(renderTail(kind, Seed.make(seed, job.entity, job.action, slot))))
  }
}

/** A submitted identifier shows in the record it resolved to; a made-up one is taken from it. */
const subjectOf = (
  job: Job.Job,
  shape: RecordShape.RecordShape,
  index: number,
  first: number,
  choice: Seed.Seed
): Subject => {
  const submitted = submittedAt(job, index)
  const isId = submitted !== undefined && job.identifierType === shape.idsType
  const n = isId ? Number(submitted) : first + inputOf(job, index)
  const identity = shape.identity(choice, n)
  const perInput = shape.perInput?.(choice, submitted) ?? {}
  const field = shape.identifierFields[job.identifierType]
  return submitted === undefined
    ? { n, identity, perInput, identifier: String(field === undefined ? n : identity[field]) }
    : {
        n,
        identity: field === undefined ? identity : { ...identity, [field]: submitted },
        perInput,
        identifier: submitted
      }
}

/** The identifier that a line answers; each has equally many lines, mostly one. */
const submittedAt = ({ identifiers, records }: Job.Job, index: number): string | undefined =>
  identifiers?.[Math.floor((index * identifiers.length) / Math.max(1, records))]

/** Lines leave out inputs that were not found, evenly. */
const inputOf = (job: Job.Job, index: number): number =>
  Identifier.listsMisses(job.action)
    ? index
    : Math.floor((index * (job.records + job.unresolved)) / Math.max(1, job.records))

const isMiss = (job: Job.Job, index: number): boolean => {
  if (!Identifier.listsMisses(job.action)) return false
  const identifier = submittedAt(job, index)
  if (identifier !== undefined) return Identifier.fate(identifier) !== "matched"
  const missesUpTo = (count: number) => Math.floor((count * job.unresolved) / Math.max(1, job.records))
  return missesUpTo(index + 1) > missesUpTo(index)
}

const renderHead = (kind: Kind, { identifier, identity, n, perInput }: Subject): string => {
  const { envelope, shape } = kind
  const own = keeps(kind, shape.identityGroup)
    ? `,"${shape.identityGroup}":${JSON.stringify(identity).slice(0, -1)}`
    : ""
  const others = members(select(perInput, kind.fields))
  return `${envelope.open(identifier, n)}{"${shape.idKey}":${n}${others}${own}`
}

/** Continues inside the identity group when the record keeps it, else inside the record. */
const renderTail = (kind: Kind, seed: Seed.Seed): string => {
  const groups = grown(kind, seed)
  const { [kind.shape.identityGroup]: identityGroup = {}, ...others } = groups
  const own = keeps(kind, kind.shape.identityGroup) ? `${members(identityGroup)}}` : ""
  return `${own}${members(others)}}${kind.envelope.close}\n`
}

const members = (value: Record<string, unknown>): string => {
  const inner = JSON.stringify(value).slice(1, -1)
  return inner === "" ? "" : `,${inner}`
}

const grown = (kind: Kind, seed: Seed.Seed): RecordShape.Groups => {
  const { fields, recordBytes, shape } = kind
  const base = shape.base(seed)
  if (shape.fixed === true) return select(base, fields)
  const target = recordBytes ?? typicalSize(seed)
  if (target < leastWithLists) return padded({ [shape.identityGroup]: {} }, shape.identityGroup, target, seed)
  let missing = Math.min(target, longText) - Buffer.byteLength(JSON.stringify(base)) - headBytes
  while (missing > 0) {
    const [group, field, entry] = shape.grow(seed)
    const list = base[group]?.[field]
    if (Array.isArray(list)) list.push(entry)
    missing -= Buffer.byteLength(JSON.stringify(entry)) + 1
  }
  const groups = select(base, fields)
  return target > longText ? padded(groups, shape.identityGroup, target, seed) : groups
}

/** One long text, so that the record comes to `target` bytes, roughly. */
const padded = (
  groups: RecordShape.Groups,
  group: string,
  target: number,
  seed: Seed.Seed
): RecordShape.Groups => {
  const missing = target - Buffer.byteLength(JSON.stringify(groups)) - headBytes
  if (missing <= 0) return groups
  const unit = JSON.stringify(RecordText.prose(seed, 400))
  const text = RecordText.prose(seed, 400).repeat(Math.ceil(missing / Buffer.byteLength(unit)))
  return { ...groups, [group]: { ...groups[group], profile_text: text.slice(0, missing) } }
}

/** 1 to 40 KB, some 5.6 KB on average: many short records and a long tail. */
const typicalSize = (seed: Seed.Seed): number => {
  const normal = Math.sqrt(-2 * Math.log(1 - seed.next())) * Math.cos(2 * Math.PI * seed.next())
  return Math.min(40_000, Math.max(1000, 4200 * Math.exp(0.75 * normal)))
}

const keeps = ({ fields }: Kind, group: string): boolean =>
  fields === undefined || fields.some((field) => field === group || field.startsWith(`${group}.`))

const select = (groups: RecordShape.Groups, fields: ReadonlyArray<string> | undefined): RecordShape.Groups =>
  fields === undefined
    ? groups
    : Object.fromEntries(
        Object.entries(groups).flatMap(([group, value]) => {
          if (fields.includes(group)) return [[group, value]]
          const kept = Object.entries(value).filter(([name]) => fields.includes(`${group}.${name}`))
          return kept.length === 0 ? [] : [[group, Object.fromEntries(kept)]]
        })
      )
