/**
 * The service of a sandbox over HTTP, under `/__sandbox/` of the API listener, for other processes on this machine.
 */
import { Effect, Schema } from "effect"
import * as Answer from "./Answer.js"
import type { Credits } from "./Credits.js"
import * as Fault from "./Fault.js"
import type { FaultScript } from "./FaultScript.js"
import type { Incoming } from "./Incoming.js"
import * as JobControl from "./JobControl.js"
import { JobAction, JobSpec, SubmitRule } from "./JobSpec.js"
import type { JobStore } from "./JobStore.js"
import { badRequest, Problem, toAnswer } from "./Problem.js"
import type { RequestLog } from "./RequestLog.js"
import type { Results } from "./Results.js"
import { explain, type SandboxError } from "./SandboxError.js"
import type { SubmitScript } from "./SubmitScript.js"

/** What the control endpoints work on. */
export interface Options {
  readonly jobs: JobStore
  readonly results: Results
  readonly script: FaultScript
  readonly submits: SubmitScript
  readonly credits: Credits
  readonly log: RequestLog
}

const prefix = "/__sandbox/"

/** One rule stands for a script of one; not a union, whose errors would tell of both sides. */
const scriptOf = <A, I>(rule: Schema.Schema<A, I>) =>
  Schema.transform(Schema.Unknown, Schema.Array(Schema.encodedSchema(rule)), {
    strict: false,
    decode: (rules) => (Array.isArray(rules) ? rules : [rules]),
    encode: (rules) => rules
  }).pipe(Schema.compose(Schema.Array(rule)))

const Rules = scriptOf(Fault.Rule)

const SubmitRules = scriptOf(SubmitRule)

const Balance = Schema.Struct({ credits: Schema.NonNegative })

/** Whether a request is one for these endpoints. */
export const isControl = ({ path }: Incoming): boolean => path.startsWith(prefix)

/**
 * - `POST jobs` with a `JobSpec` → `{batch_id}`; `POST jobs/{id}` with a `JobAction`;
 * - `POST submits` with a `SubmitRule` or an array of them;
 * - `GET account` → `{credits}`; `POST account` with that;
 * - `POST faults` with a rule or an array of rules → `{ids}`; `GET faults` → reports; `DELETE faults`;
 * - `GET requests` → request records.
 */
export const handle = (options: Options, incoming: Incoming): Effect.Effect<Answer.Answer> =>
  (incoming.loopback
    ? route(options, incoming)
    : new Problem({ status: 403, message: "Only from this machine" })
  ).pipe(Effect.catchAll((problem) => Effect.succeed(toAnswer(problem))))

const route = (
  { credits, jobs, log, results, script, submits }: Options,
  incoming: Incoming
): Effect.Effect<Answer.Answer, Problem> => {
  const resource = incoming.path.slice(prefix.length)
  const id = /^jobs\/([^/]+)$/.exec(resource)?.[1]
  switch (`${incoming.method} ${id === undefined ? resource : "jobs/{id}"}`) {
    case "POST jobs":
      return read(incoming, JobSpec).pipe(
        Effect.flatMap((spec) => refused(JobControl.create(jobs, results, spec))),
        Effect.map((batch_id) => Answer.json(201, { batch_id }))
      )
    case "POST jobs/{id}":
      return read(incoming, JobAction).pipe(
        Effect.flatMap((action) => refused(JobControl.act(jobs, id ?? "", action))),
        Effect.as(Answer.json(200, {}))
      )
    case "POST submits":
      return Effect.as(Effect.flatMap(read(incoming, SubmitRules), submits.append), Answer.json(201, {}))
    case "GET account":
      return Effect.map(credits.balance, (credits) => Answer.json(200, { credits }))
    case "POST account":
      return read(incoming, Balance).pipe(
        Effect.flatMap((wanted) => credits.set(wanted.credits)),
        Effect.as(Answer.json(200, {}))
      )
    case "POST faults":
      return read(incoming, Rules).pipe(
        Effect.flatMap(script.append),
        Effect.map((ids) => Answer.json(201, { ids }))
      )
    case "GET faults":
      return Effect.map(script.reports, (reports) => Answer.json(200, reports))
    case "DELETE faults":
      return Effect.as(script.clear, Answer.json(200, {}))
    case "GET requests":
      return Effect.map(log.records, (records) => Answer.json(200, records))
    default:
      return new Problem({ status: 404, message: `No ${incoming.method} ${incoming.path}` })
  }
}

/** A misspelt property is an error: a fault that never strikes proves nothing. */
const read = <A, I>({ body }: Incoming, schema: Schema.Schema<A, I>): Effect.Effect<A, Problem> =>
  body.pipe(
    Effect.mapError(({ reason }) => badRequest(`The body could not be read: ${reason}`)),
    Effect.flatMap((text) =>
      Schema.decodeUnknown(Schema.parseJson(schema), { onExcessProperty: "error", errors: "all" })(
        text === "" ? "{}" : text
      )
    ),
    Effect.catchTag("ParseError", (error) => badRequest(explain(error)))
  )

const refused = <A>(self: Effect.Effect<A, SandboxError>): Effect.Effect<A, Problem> =>
  Effect.mapError(self, ({ message, reason }) => new Problem({ status: statuses[reason], message }))

const statuses = { UnknownJob: 404, Invalid: 400, Listen: 500, Spool: 500 } as const
