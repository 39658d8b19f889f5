/**
 * The file host: presigned GETs of result objects, with S3's manners.
 */
import { Clock, Effect, Option } from "effect"
import * as Answer from "./Answer.js"
import * as Content from "./Content.js"
import type * as Fault from "./Fault.js"
import * as FaultAnswer from "./FaultAnswer.js"
import type { Incoming } from "./Incoming.js"
import * as Job from "./Job.js"
import type { JobStore } from "./JobStore.js"
import type { Presign } from "./Presign.js"
import * as Range from "./Range.js"
import type { Results } from "./Results.js"
import * as S3Error from "./S3Error.js"
import * as Seed from "./Seed.js"
import type { Handler } from "./Serve.js"
import type { StoredObject } from "./StoredObject.js"

/** What the file host needs. */
export interface Options {
  readonly seed: number
  readonly jobs: JobStore
  readonly results: Results
  readonly presign: Presign
}

/** The path of an object. */
export const objectPath = (job: Job.Job, name: string): string => `/results/${job.id}/${name}`

/** The temporary credentials links of a job are signed with; they change when links are revoked. */
export const session = (seed: number, job: Job.Job): string =>
  Seed.hex(64, seed, "session", job.id, job.session)

/** The handler of the file host. */
export const make = (options: Options): Handler => {
  let requests = 0
  return (incoming, effects) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const requestId = Seed.hex(16, options.seed, "request", ++requests).toUpperCase()
      const headers = { "x-amz-request-id": requestId, date: new Date(now).toUTCString(), server: "AmazonS3" }
      return respond(options, incoming, effects, now).pipe(
        Effect.merge,
        Effect.map((answer) => Answer.withHeaders(answer, headers))
      )
    })
}

const respond = (
  { jobs, presign, results, seed }: Options,
  incoming: Incoming,
  effects: Fault.Effects,
  now: number
): Effect.Effect<Answer.Answer, Answer.Answer> =>
  Effect.gen(function* () {
    const verdict = yield* admit(presign, incoming)
    const [, id = "", name = ""] = /^\/results\/([^/]+)\/([^/]+)$/.exec(incoming.path) ?? []
    const found = yield* Effect.flatMap(
      jobs.find(id),
      Effect.mapError(() => noSuchKey(incoming))
    )
    if (now >= verdict.expiresAt) return yield* Effect.fail(S3Error.expired("AccessDenied"))
    if (verdict.session !== session(seed, found)) return yield* Effect.fail(S3Error.expired(found.expiredAs))
    const job =
      effects.changed === true
        ? yield* Effect.orDie(jobs.update(found.id, (job) => Job.replaceObject(job, name)))
        : found
    const stored = yield* results
      .object(job, name)
      .pipe(
        Effect.orDie,
        Effect.flatMap(
          Option.match({ onNone: () => Effect.fail(noSuchKey(incoming)), onSome: Effect.succeed })
        )
      )
    const content = yield* FaultAnswer.onObject(effects, stored.content)
    return serve(incoming, { ...stored, content }, lastModified(job))
  })

/** The checks S3 makes before it looks at the object. */
const admit = (presign: Presign, incoming: Incoming) => {
  const { headers, method, path, query } = incoming
  if (headers.authorization !== undefined) return Effect.fail(secondAuthorization(headers.authorization))
  const verdict = presign.verify({ method, path, query, host: headers.host ?? "" })
  switch (verdict._tag) {
    case "Unsigned":
      return Effect.fail(S3Error.make("AccessDenied", "Access Denied"))
    case "Forged":
      return Effect.fail(
        S3Error.make(
          "SignatureDoesNotMatch",
          "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        )
      )
    case "Signed": {
      const foreign = Object.keys(headers).filter((name) => name.startsWith("x-amz-"))
      return foreign.length === 0
        ? Effect.succeed(verdict)
        : Effect.fail(
            S3Error.make("AccessDenied", "There were headers present in the request which were not signed", {
              HeadersNotSigned: foreign.join(", ")
            })
          )
    }
  }
}

/** S3 echoes the header: a key that was sent along is now in an error message. */
const secondAuthorization = (value: string): Answer.Answer =>
  S3Error.make(
    "InvalidArgument",
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
    { ArgumentName: "Authorization", ArgumentValue: value }
  )

const noSuchKey = ({ path }: Incoming): Answer.Answer =>
  S3Error.make("NoSuchKey", "The specified key does not exist.", { Key: path.slice(1) })

/** `If-Range` is ignored, as some S3 servers do. */
const serve = ({ headers }: Incoming, { content, etag }: StoredObject, modified: string): Answer.Answer => {
  const wanted = headers["if-match"]
  if (wanted !== undefined && wanted !== "*" && !wanted.split(/\s*,\s*/).includes(etag)) {
    return S3Error.make(
      "PreconditionFailed",
      "At least one of the pre-conditions you specified did not hold",
      {
        Condition: "If-Match"
      }
    )
  }
  const { size } = content
  const range = Range.resolve(headers.range, size)
  if (range === "Unsatisfiable") {
    const details = { RangeRequested: headers.range ?? "", ActualObjectSize: String(size) }
    const header = { "content-range": `bytes */${size}` }
    return S3Error.make("InvalidRange", "The requested range is not satisfiable", details, header)
  }
  const common = {
    "content-type": "application/gzip",
    "accept-ranges": "bytes",
    "last-modified": modified,
    etag
  }
  if (range === undefined) {
    return {
      status: 200,
      headers: common,
      body: content,
      bodyFrom: (offset) => Content.slice(content, offset)
    }
  }
  const length = range.end - range.start + 1
  const bodyFrom = (offset: number) => Content.slice(content, offset, length)
  return {
    status: 206,
    headers: { ...common, "content-range": `bytes ${range.start}-${range.end}/${size}` },
    body: bodyFrom(range.start),
    bodyFrom
  }
}

const lastModified = (job: Job.Job): string =>
  new Date(job.createdAt + job.timeline.slice(0, -1).reduce((sum, step) => sum + step.ms, 0)).toUTCString()
