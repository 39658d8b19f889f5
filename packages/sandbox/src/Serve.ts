/**
 * The way of every request: log, fault script, handler, answer.
 */
import { Cause, Effect, Option } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as Answer from "./Answer.js"
import * as Delivery from "./Delivery.js"
import * as Fault from "./Fault.js"
import * as FaultAnswer from "./FaultAnswer.js"
import type * as FaultScript from "./FaultScript.js"
import * as Incoming from "./Incoming.js"
import * as RequestLog from "./RequestLog.js"
import * as S3Error from "./S3Error.js"

/** Plans the answer to a request, as disturbed by the effects that concern what it reads. */
export type Handler = (incoming: Incoming.Incoming, effects: Fault.Effects) => Effect.Effect<Answer.Answer>

/** What all requests of a listener share. */
export interface Options {
  readonly server: Fault.Server
  readonly log: RequestLog.RequestLog
  readonly script: FaultScript.FaultScript
  readonly handler: Handler
  /** Requests that are neither logged nor disturbed. */
  readonly isControl: (incoming: Incoming.Incoming) => boolean
}

/** A handler as `node:http` needs it. */
export const make = (options: Options) => {
  const underWay: UnderWay = new Map()
  return (request: IncomingMessage, response: ServerResponse): Effect.Effect<void> => {
    const incoming = Incoming.make(options.server, request)
    return options.isControl(incoming)
      ? plain(options, incoming, response)
      : Effect.scoped(disturbed(options, underWay, incoming, response))
  }
}

/** Of each rule, how many requests it took that are not answered yet. */
type UnderWay = Map<string, number>

const disturbed = (
  options: Options,
  underWay: UnderWay,
  incoming: Incoming.Incoming,
  response: ServerResponse
) =>
  Effect.gen(function* () {
    const claim = yield* options.script.claim(incoming)
    const effects = Option.match(claim, { onNone: () => Fault.none, onSome: (taken) => taken.effects })
    const entry = yield* options.log.arrived(incoming, Option.getOrUndefined(claim)?.id)
    const others = Option.isNone(claim) ? 0 : yield* enter(underWay, claim.value)
    if (others >= (effects.busy?.above ?? Infinity))
      return yield* Delivery.send(response, slowDown, {}, entry)
    if (effects.delay !== undefined) yield* Effect.sleep(effects.delay.ms)
    if (effects.hang === true) return yield* Effect.never
    const planned = yield* guarded(options.handler(FaultAnswer.onRequest(effects, incoming), effects))
    yield* Delivery.send(response, FaultAnswer.onAnswer(effects, planned), effects, entry)
  })

const slowDown = S3Error.make("SlowDown", "Please reduce your request rate.")

/** Counts a request until it is answered; how many others there are. */
const enter = (underWay: UnderWay, { id }: FaultScript.Claim) => {
  const count = (by: number) =>
    Effect.sync(() => {
      const before = underWay.get(id) ?? 0
      underWay.set(id, before + by)
      return before
    })
  return Effect.acquireRelease(count(1), () => count(-1))
}

const plain = (options: Options, incoming: Incoming.Incoming, response: ServerResponse) =>
  Effect.flatMap(guarded(options.handler(incoming, Fault.none)), (answer) =>
    Delivery.send(response, answer, Fault.none, RequestLog.untold(incoming, 0, undefined))
  )

/** A defect of the sandbox must not look like a lost connection. */
const guarded = (planned: Effect.Effect<Answer.Answer>): Effect.Effect<Answer.Answer> =>
  Effect.catchAllDefect(planned, (defect) =>
    Effect.succeed(Answer.text(500, "text/plain", `sandbox defect: ${Cause.pretty(Cause.die(defect))}`))
  )
