/**
 * The way of every request: log, fault script, handler, answer.
 */
import { Cause, Effect, Option } from "effect"
import type { IncomingMessage, ServerResponse } from "node:http"
import * as Answer from "./Answer.js"
import * as Delivery from "./Delivery.js"
import * as Fault from "./Fault.js"
import * as FaultAnswer from "./FaultAnswer.js"
import type { FaultScript } from "./FaultScript.js"
import * as Incoming from "./Incoming.js"
import * as RequestLog from "./RequestLog.js"

/** Plans the answer to a request, as disturbed by the effects that concern what it reads. */
export type Handler = (incoming: Incoming.Incoming, effects: Fault.Effects) => Effect.Effect<Answer.Answer>

/** What all requests of a listener share. */
export interface Options {
  readonly server: Fault.Server
  readonly log: RequestLog.RequestLog
  readonly script: FaultScript
  readonly handler: Handler
  /** Requests that are neither logged nor disturbed. */
  readonly isControl: (incoming: Incoming.Incoming) => boolean
}

/** A handler as `node:http` needs it. */
export const make =
  (options: Options) =>
  (request: IncomingMessage, response: ServerResponse): Effect.Effect<void> => {
    const incoming = Incoming.make(options.server, request)
    return options.isControl(incoming)
      ? plain(options, incoming, response)
      : disturbed(options, incoming, response)
  }

const disturbed = (options: Options, incoming: Incoming.Incoming, response: ServerResponse) =>
  Effect.gen(function* () {
    const claim = yield* options.script.claim(incoming)
    const effects = Option.match(claim, { onNone: () => Fault.none, onSome: (taken) => taken.effects })
    const entry = yield* options.log.arrived(incoming, Option.getOrUndefined(claim)?.id)
    if (effects.delay !== undefined) yield* Effect.sleep(effects.delay.ms)
    if (effects.hang === true) return yield* Effect.never
    const planned = yield* guarded(options.handler(FaultAnswer.onRequest(effects, incoming), effects))
    yield* Delivery.send(response, FaultAnswer.onAnswer(effects, planned), effects, entry)
  })

const plain = (options: Options, incoming: Incoming.Incoming, response: ServerResponse) =>
  Effect.flatMap(guarded(options.handler(incoming, Fault.none)), (answer) =>
    Delivery.send(response, answer, Fault.none, RequestLog.untold(incoming, 0, undefined))
  )

/** A defect of the sandbox must not look like a lost connection. */
const guarded = (planned: Effect.Effect<Answer.Answer>): Effect.Effect<Answer.Answer> =>
  Effect.catchAllDefect(planned, (defect) =>
    Effect.succeed(Answer.text(500, "text/plain", `sandbox defect: ${Cause.pretty(Cause.die(defect))}`))
  )
