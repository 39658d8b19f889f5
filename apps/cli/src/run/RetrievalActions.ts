/**
 * `batchctl retrievals`: lists, shows, watches, stops and retries what the service keeps.
 */
import { Clock, Duration, Effect, Option, Schema } from "effect"
import { AlreadyReported, type ServiceError, UsageError } from "../failure/CliError.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as Report from "../failure/Report.js"
import * as Timeout from "../options/Timeout.js"
import { Stderr } from "../terminal/Stderr.js"
import { Stdout, type StdoutError } from "../terminal/Stdout.js"
import * as RetrievalService from "./RetrievalService.js"
import * as RetrievalText from "./RetrievalText.js"

/** The action, and the flags. */
export interface Request {
  readonly action: string
  readonly ids: ReadonlyArray<string>
  readonly state: Option.Option<string>
  readonly batch: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly all: boolean
  readonly timeout: string
  readonly json: boolean
  readonly quiet: boolean
}

const refuse = (detail: string, hint: Option.Option<string> = Option.none()) =>
  new UsageError({ detail, hint, batchId: Option.none() })

const interval = Duration.seconds(2)

const concurrency = 8

const defaultLimit = 20

const largestPage = 100

/** Does what is asked. */
export const run = Effect.fn("RetrievalActions.run")(function* (request: Request) {
  switch (request.action) {
    case "list":
      return yield* list(request)
    case "show":
      return yield* each(request, show(request))
    case "watch":
      return yield* Effect.flatMap(Timeout.start(request.timeout), (left) =>
        each(request, watch(request, left))
      )
    case "stop":
      return yield* each(request, change(request, "DELETE", ""))
    case "retry":
      return yield* each(request, change(request, "POST", "/retry"))
    default:
      return yield* refuse(
        `${request.action} is nothing that can be done with retrievals: there are list, show, watch, stop and retry`
      )
  }
})

type Act<R> = (
  service: RetrievalService.Service,
  id: string
) => Effect.Effect<number, ServiceError | StdoutError, R>

/** Acts on each id; the exit code is that of the first that is not 0. */
const each = <R>({ ids }: Request, act: Act<R>) =>
  Effect.gen(function* () {
    const wrong = ids.find((id) => !Schema.is(Schema.UUID)(id))
    const hint = Option.some("batchctl retrievals list")
    if (ids.length === 0) return yield* refuse("no retrieval id is given", hint)
    if (wrong !== undefined)
      return yield* refuse(`${wrong} is no retrieval id: a retrieval id is a UUID`, hint)
    const codes = yield* RetrievalService.withService((service) =>
      Effect.forEach(
        new Set(ids),
        (id) => Effect.catchTag(act(service, id), "ServiceError", (error) => Report.failure(error)),
        { concurrency }
      )
    )
    const exitCode = codes.find((code) => code !== 0)
    if (exitCode !== undefined) return yield* new AlreadyReported({ exitCode })
  })

const get = ({ ask }: RetrievalService.Service, id: string) =>
  ask(RetrievalService.Retrieval, { method: "GET", path: `retrievals/${id}`, repeatable: true })

/** Prints it, as its JSON or as lines, and gives its exit code. */
const tell = (one: RetrievalService.Retrieval, json: boolean, lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const stdout = yield* Stdout
    yield* json ? Effect.flatMap(RetrievalService.toJson(one), stdout.json) : stdout.line(lines.join("\n"))
  })

const show =
  ({ ids, json }: Request): Act<Stdout> =>
  (service, id) =>
    Effect.gen(function* () {
      const one = yield* get(service, id)
      const now = yield* Clock.currentTimeMillis
      yield* tell(one, json, [...RetrievalText.lines(one, now), ...(ids.length > 1 ? [""] : [])])
      return ExitCode.ok
    })

const change =
  ({ json }: Request, method: "DELETE" | "POST", what: string): Act<Stdout> =>
  ({ ask }, id) =>
    Effect.gen(function* () {
      const path = `retrievals/${id}${what}`
      const one = yield* ask(RetrievalService.Retrieval, { method, path, repeatable: false })
      yield* tell(one, json, [RetrievalText.line(one)])
      return ExitCode.ok
    })

/** Looks until it has ended or the time is up; once it was seen, a service that is away is waited for. */
const watch =
  ({ json, quiet }: Request, left: Timeout.Left): Act<Stdout | Stderr> =>
  (service, id) =>
    Effect.gen(function* () {
      const stderr = yield* Stderr
      let one = yield* get(service, id)
      let told = ""
      let isAway: ServiceError | undefined
      for (;;) {
        const isOver = !["waiting", "running"].includes(one.state)
        const line = RetrievalText.line(one)
        if (json && line !== told) yield* tell(one, json, [])
        if (!json && !isOver && !quiet && line !== told) yield* stderr.line(line)
        told = line
        if (isOver) {
          if (!json) yield* tell(one, json, [line])
          return ExitCode.ofRetrieval(one.state, one.error?.type)
        }
        const time = yield* left
        if (Duration.toMillis(time) <= 0) {
          if (isAway !== undefined) return yield* isAway
          yield* stderr.line(`error: the time is up, and retrieval ${id} is ${one.state}; it goes on`)
          return ExitCode.stillRunning
        }
        yield* Effect.sleep(Duration.min(interval, time))
        const next = yield* Effect.either(get(service, id))
        if (next._tag === "Left" && !RetrievalService.isPassing(next.left)) return yield* next.left
        isAway = next._tag === "Left" ? next.left : undefined
        one = next._tag === "Left" ? one : next.right
      }
    })

const list = (request: Request) =>
  Effect.gen(function* () {
    if (request.ids.length > 0) return yield* refuse(`list takes no id, but there is ${request.ids[0]}`)
    if (request.all && Option.isSome(request.limit))
      return yield* refuse("--all and --limit exclude each other")
    const limit = request.all ? Infinity : Option.getOrElse(request.limit, () => defaultLimit)
    if (limit < 1) return yield* refuse(`--limit ${limit} must be at least 1`)
    const { hasMore, retrievals } = yield* RetrievalService.withService((service) =>
      pages(service, request, limit)
    )
    const stderr = yield* Stderr
    if (request.json) yield* Effect.forEach(retrievals, (one) => tell(one, true, []), { discard: true })
    else if (retrievals.length === 0) yield* stderr.line("no retrievals")
    else {
      const now = yield* Clock.currentTimeMillis
      yield* (yield* Stdout).line(RetrievalText.tableOf(retrievals, now).join("\n"))
    }
    if (hasMore) yield* stderr.line(`${retrievals.length} shown, there are more: --all shows all`)
  })

const pages = ({ ask }: RetrievalService.Service, { batch, state }: Request, limit: number) =>
  Effect.gen(function* () {
    const retrievals: Array<RetrievalService.Retrieval> = []
    let [cursor, hasMore]: [string | undefined, boolean] = [undefined, true]
    while (hasMore && retrievals.length < limit) {
      const page: typeof RetrievalService.Page.Type = yield* ask(RetrievalService.Page, {
        method: "GET",
        path: "retrievals",
        query: {
          state: Option.getOrUndefined(state),
          batch_id: Option.getOrUndefined(batch),
          limit: String(Math.min(limit - retrievals.length, largestPage)),
          cursor
        },
        repeatable: true
      })
      retrievals.push(...page.retrievals)
      cursor = page.next_cursor ?? undefined
      hasMore = page.has_more && cursor !== undefined
    }
    return { retrievals, hasMore }
  })
