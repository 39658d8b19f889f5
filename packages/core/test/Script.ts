/** A scripted upstream: it answers from a list, and remembers every request with the virtual time at which it came. */
import {
  HttpClient,
  HttpClientError,
  type HttpClientRequest,
  HttpClientResponse,
  HttpIncomingMessage
} from "@effect/platform"
import {
  Cause,
  Clock,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Random,
  Redacted,
  Schema,
  TestClock
} from "effect"
import * as Batch from "../src/model/Batch.js"
import * as BatchClient from "../src/status/BatchClient.js"
import * as BatchConfig from "../src/model/BatchConfig.js"
import * as BatchHttp from "../src/status/BatchHttp.js"

/** What happens to one request. Without anything: 200 with the job, still processing. */
export interface Step {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** A string and bytes go out as they are, anything else as JSON. */
  readonly body?: unknown
  /** How long the head of the answer takes. */
  readonly after?: Duration.DurationInput
  /** No answer at all: the connection fails with this cause. */
  readonly fails?: unknown
  /** The head comes, then the connection fails with this cause. */
  readonly breaks?: unknown
  /** Never answers, or begins to answer and never ends. */
  readonly hangs?: "head" | "body"
}

/** One request, as the upstream saw it. */
export interface Seen {
  readonly at: number
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  abortedAt: number | undefined
}

/** What came in, and a client that leads there. */
export interface Script {
  readonly seen: ReadonlyArray<Seen>
  readonly client: HttpClient.HttpClient
  /** The times of all requests so far, in milliseconds. */
  readonly times: () => ReadonlyArray<number>
}

/** Answers the requests in the order of the steps, and the last step for ever; or as a function decides. */
export const script = (
  steps: readonly [Step, ...ReadonlyArray<Step>] | ((seen: Seen, index: number) => Step)
): Script => {
  const seen: Array<Seen> = []
  const stepOf = (request: Seen, index: number): Step =>
    typeof steps === "function" ? steps(request, index) : (steps[index] ?? steps.at(-1) ?? steps[0])
  const client = HttpClient.make((request, url, signal) =>
    Effect.gen(function* () {
      const clock = yield* Clock.clockWith(Effect.succeed)
      const entry: Seen = {
        at: clock.unsafeCurrentTimeMillis(),
        method: request.method,
        url: url.href,
        headers: { ...request.headers },
        abortedAt: undefined
      }
      signal.addEventListener("abort", () => {
        entry.abortedAt = clock.unsafeCurrentTimeMillis()
      })
      const step = stepOf(entry, seen.push(entry) - 1)
      if (step.after !== undefined) yield* Effect.sleep(step.after)
      if (step.hangs === "head") return yield* Effect.never
      if (step.fails !== undefined) {
        return yield* new HttpClientError.RequestError({ request, reason: "Transport", cause: step.fails })
      }
      return respond(request, step)
    })
  )
  return { seen, client, times: () => seen.map((request) => request.at) }
}

const respond = (
  request: HttpClientRequest.HttpClientRequest,
  step: Step
): HttpClientResponse.HttpClientResponse => {
  const response = HttpClientResponse.fromWeb(
    request,
    new Response(null, { status: step.status ?? 200, headers: step.headers ?? {} })
  )
  const failed = (cause: unknown) =>
    Effect.fail(new HttpClientError.ResponseError({ request, response, reason: "Decode", cause }))
  const body = step.body ?? ((step.status ?? 200) < 300 ? job() : "")
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const whole = Effect.flatMap(HttpIncomingMessage.MaxBodySize, (limit) => {
    if (step.hangs === "body") return Effect.never
    if (step.breaks !== undefined) return failed(step.breaks)
    const tooLong = Option.exists(limit, (bytes) => text.length > Number(bytes))
    return tooLong ? failed(new Error("maxBytes exceeded")) : Effect.succeed(text)
  })
  const bytes = Effect.map(
    whole,
    (said) =>
      new Uint8Array(step.body instanceof Uint8Array ? step.body : new TextEncoder().encode(said)).buffer
  )
  return Object.defineProperties(response, { text: { value: whole }, arrayBuffer: { value: bytes } })
}

/** A system error of a socket or of the resolver. */
export const systemError = (code: string, message = `connect ${code} 10.0.0.1:443`): Error =>
  Object.assign(new Error(message), { code })

/** The job that all scripts are about. */
export const batchId = Batch.BatchId.make("01234567-89ab-4cde-8f01-23456789abcd")

/** The API's JSON of that job. */
export const job = (fields: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> => ({
  batch_id: batchId,
  status: "processing",
  entity: "company",
  action: "enrich",
  result_count: 0,
  ...fields
})

/** The job's JSON as a value of the model. */
export const batch = (fields: Readonly<Record<string, unknown>> = {}): Batch.Batch =>
  Schema.decodeSync(Batch.FromJson)(job(fields))

export const completed: Step = { body: job({ status: "completed", result_count: 7 }) }

/** As long as a real one. */
export const apiKey = "f3c91b7ad2e84650f3c91b7ad2e84650f3c91b7a"

export const baseUrl = "https://api.test/v1"

/** Client, settings and HTTP over the scripted upstream. */
export const upstream = (
  { client }: Script,
  options: BatchConfig.Options = {}
): Layer.Layer<BatchClient.BatchClient | BatchConfig.BatchConfig | BatchHttp.BatchHttp> =>
  BatchClient.layerOver(
    BatchConfig.layer({ baseUrl, apiKey: Redacted.make(apiKey), ...options }).pipe(Layer.orDie)
  ).pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client)))

/**
 * Lets the virtual clock trust that everything has come to rest after one turn of the event loop, which is true of
 * all that is scripted here; by itself it looks at every fiber again and again, and takes milliseconds for it.
 */
const hurry: Effect.Effect<void> = Effect.map(TestClock.testClock(), (clock) => {
  Object.assign(clock, {
    awaitSuspended: () => Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
  })
})

/** Moves the virtual clock. */
export const advance = (by: Duration.DurationInput): Effect.Effect<void> =>
  Effect.zipRight(hurry, TestClock.adjust(by))

/** How something ended, and when. */
export interface Played<A, E> {
  readonly exit: Exit.Exit<A, E>
  readonly at: number
}

/**
 * Runs an effect to its end on virtual time, with dice that always show `random` (1 makes every pause as long as it
 * may be, 0 as short).
 */
export const play = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: { readonly random?: number; readonly within?: Duration.DurationInput } = {}
): Effect.Effect<Played<A, E>, never, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.exit(effect).pipe(
      Effect.zip(Clock.currentTimeMillis),
      Effect.withRandom(Random.fixed([options.random ?? 1])),
      Effect.fork
    )
    yield* advance(options.within ?? "1 hour")
    const ended = yield* Fiber.poll(fiber)
    if (Option.isNone(ended)) return yield* Effect.dieMessage("it did not end in time")
    const [exit, at] = yield* Fiber.join(fiber)
    return { exit, at }
  })

/** The value of a run that went well. */
export const valueOf = <A, E>({ exit }: Played<A, E>): A =>
  Exit.getOrElse(exit, (cause) => {
    throw new Error(`it failed: ${cause.toString()}`)
  })

/** The failure of a run. */
export const errorOf = <A, E>({ exit }: Played<A, E>): E => {
  const error = Option.flatMap(Exit.causeOption(exit), Cause.failureOption)
  return Option.getOrThrowWith(error, () => new Error(`it did not fail: ${String(exit)}`))
}

/** Suspended for a minute, some milliseconds after it began: timers that end meanwhile fire when it is woken. */
export const suspended = <A, E, R>(effect: Effect.Effect<A, E, R>, after: number) =>
  Effect.flatMap(Clock.clockWith(Effect.succeed), (clock) => {
    const from = clock.unsafeCurrentTimeMillis() + after
    return Effect.withClock(effect, {
      ...asClock(clock),
      sleep: (duration) => {
        const now = clock.unsafeCurrentTimeMillis()
        const end = now + Duration.toMillis(duration)
        return clock.sleep(Duration.millis((end > from && end < from + 60_000 ? from + 60_000 : end) - now))
      }
    })
  })

/** A clock with these methods and no others, of which some may then be replaced. */
export const asClock = (clock: Clock.Clock): Clock.Clock => ({
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanos: clock.currentTimeNanos,
  sleep: (duration) => clock.sleep(duration)
})
