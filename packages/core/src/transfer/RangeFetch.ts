/**
 * One run of bytes of a results file → their place on disk, whatever the network does on the way. The whole unit
 * (link, request, answer, body) is tried again from the first byte that is not here yet; an answer is believed only
 * if it is about the same version of the same object and begins where it was asked to.
 *
 * @example
 * import { Effect } from "effect"
 * import type * as FileTransfer from "./FileTransfer.js"
 * import * as RangeFetch from "./RangeFetch.js"
 *
 * const firstMegabyte = (shared: RangeFetch.Shared, source: FileTransfer.Source) =>
 *   Effect.scoped(RangeFetch.fetch(shared, source, { start: 0, end: 1_048_576 }))
 */
import {
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  HttpIncomingMessage
} from "@effect/platform"
import { Clock, Duration, Effect, Metric, Option, Random, Redacted, type Scope } from "effect"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import {
  ResultsCorrupt,
  ResultsUnavailable,
  type StatusError,
  type StorageError,
  type TransferError,
  TransferFailed
} from "../model/BatchError.js"
import * as BatchHttp from "../status/BatchHttp.js"
import * as Blocks from "./Blocks.js"
import * as Cells from "./Cells.js"
import type { Connection, Connections } from "./Connections.js"
import * as FileResponse from "./FileResponse.js"
import type * as ResultLinks from "./ResultLinks.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import * as FileTransfer from "./FileTransfer.js"
import * as PresignedLink from "../model/PresignedLink.js"
import * as Telemetry from "../model/Telemetry.js"
import type { Throttle } from "../retry/Throttle.js"

/** What the connections of one retrieval share. */
export interface Shared {
  readonly links: ResultLinks.Links
  /** Gate and retry budget for the file host. */
  readonly throttle: Throttle
  readonly connections: Connections
  /** Whether the host bears fewer connections than are open: then what it refuses this one is left to the others. */
  readonly isSurplus: Effect.Effect<boolean>
  /** Told when bytes are written, but not synced yet. */
  readonly onWritten: (source: FileTransfer.Source, bytes: number) => Effect.Effect<void>
  /** Told once of each file's size; fails where there is no room for it. */
  readonly onSize: (source: FileTransfer.Source, bytes: number) => Effect.Effect<void, StorageError>
  /** Told before the pause before another try. */
  readonly onRetry: (
    source: FileTransfer.Source,
    detail: string,
    delay: Duration.Duration
  ) => Effect.Effect<void>
}

/** What a transfer can fail with. A replaced object is `ResultsUnavailable` with reason `Changed`: start over. */
export type FetchError = TransferError

/** Fetches a run that was claimed of its source, to its end, or gives the rest of it back. */
export const fetch = (
  shared: Shared,
  source: FileTransfer.Source,
  claimed: Cells.Run
): Effect.Effect<void, FetchError, BatchHttp.BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    const { files } = yield* BatchHttp.BatchHttp
    const run: Run = {
      shared,
      source,
      settings: yield* BatchConfig,
      files: HttpClient.withScope(files),
      position: claimed.start,
      end: claimed.end,
      failures: 0,
      progress: source.progress,
      spent: 0,
      left: false
    }
    const isOver = () => run.left || run.position >= run.end || FileTransfer.isWhole(source)
    const step = Effect.scoped(attempt(run)).pipe(
      Effect.catchTags({
        Again: (setback) => again(run, setback),
        Renew: (setback) => renew(run, setback)
      })
    )
    yield* Effect.whileLoop({ while: () => !isOver(), body: () => step, step: () => undefined }).pipe(
      Effect.zipRight(refund(run)),
      Effect.ensuring(Effect.sync(() => FileTransfer.release(source, { start: run.position, end: run.end })))
    )
  })

/** Another try may help. */
interface Again {
  readonly _tag: "Again"
  readonly reason: TransferFailed["reason"]
  readonly status: Option.Option<number>
  readonly hint: Option.Option<Duration.Duration>
  readonly detail: string
  /** What it means if it does not. */
  readonly otherwise: Option.Option<ResultsCorrupt>
}

/** Another link may help. */
interface Renew {
  readonly _tag: "Renew"
  readonly reason: "Expired" | "Missing"
  readonly link: ResultLinks.ResultLink
  readonly detail: string
}

interface Run {
  readonly shared: Shared
  readonly source: FileTransfer.Source
  readonly settings: Settings
  readonly files: HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>
  /** The first byte of the run that is not here. */
  position: number
  /** Grows when the host sends the whole file whatever it is asked for. */
  end: number
  /** Failed attempts since the source last made progress, and its progress then. */
  failures: number
  progress: number
  /** Retry tokens that were taken since then. */
  spent: number
  /** Whether the rest is left to other connections. */
  left: boolean
}

type AttemptError = Again | Renew | StatusError | ResultsUnavailable | TransferFailed | StorageError

/** One request for what is not here yet of the run, its answer and its body. */
const attempt = (run: Run): Effect.Effect<void, AttemptError, Scope.Scope> =>
  Effect.gen(function* () {
    const { source, shared } = run
    const link = yield* shared.links.get(source.planned.target)
    yield* shared.throttle.enter
    const connection = yield* shared.connections.open
    const response = yield* request(run, Redacted.value(link.url), run.settings.transfer.maxRedirects)
    yield* shared.links.observeDate(response.headers["date"])
    const now = yield* Clock.currentTimeMillis
    const body = response.status < 300 ? "" : yield* beginning(response)
    const answer = FileResponse.judge(
      { status: response.status, headers: response.headers, body },
      { position: run.position, end: run.end, identity: source.identity, now }
    )
    switch (answer._tag) {
      case "Body":
        return yield* receive(run, connection, response, answer)
      case "AtEnd":
        return yield* atEnd(run)
      case "Changed":
        return yield* unavailable(run, "Changed", answer.detail)
      case "Expired":
      case "Missing": {
        const expired = answer._tag === "Expired" || (yield* shared.links.isExpired(link))
        const reason = expired ? "Expired" : "Missing"
        return yield* Effect.fail<Renew>({ _tag: "Renew", reason, link, detail: answer.detail })
      }
      case "Busy":
        yield* connection.refused
        return yield* Effect.fail(trouble("Server", answer.detail, answer))
      case "Broken":
        return yield* Effect.fail(trouble("Protocol", answer.detail))
      case "Redirect":
        return yield* refuse(run, response.status, "too many redirects")
      case "Refused":
        return yield* refuse(run, answer.status, answer.detail)
    }
  })

/** A ranged GET without anything that could identify the account. Temporary redirects are followed, a few, safely. */
const request = (
  run: Run,
  url: string,
  redirects: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, Again | TransferFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { idleTimeout } = run.settings.transfer
    const response = yield* run.files.execute(HttpClientRequest.get(url, { headers: headersFor(run) })).pipe(
      Effect.mapError((error) => unreachable(run, BatchHttp.explain(error))),
      Effect.timeoutFail({
        duration: idleTimeout,
        onTimeout: () => trouble("Stalled", `no answer for ${Duration.format(idleTimeout)}`)
      })
    )
    const location = FileResponse.isRedirect(response.status) ? response.headers["location"] : undefined
    if (location === undefined || redirects === 0) return response
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined
    if (next === undefined || !PresignedLink.isAllowed(next, run.settings.baseUrl)) {
      return yield* refuse(run, response.status, "it redirects to a place that is not https")
    }
    return yield* request(run, next.href, redirects - 1)
  })

const headersFor = ({ end, position, source }: Run): Record<string, string> => ({
  accept: "*/*",
  "accept-encoding": "identity",
  range: `bytes=${position}-${Number.isFinite(end) ? end - 1 : ""}`,
  ...Option.match(
    Option.filter(source.identity, ({ etag }) => FileResponse.isStrong(etag)),
    { onNone: () => ({}), onSome: ({ etag }) => ({ "if-match": etag }) }
  )
})

/** Enough of an error's body to find its code. */
const beginning = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  response.text.pipe(
    HttpIncomingMessage.withMaxBodySize(Option.some(65_536)),
    Effect.timeout("10 seconds"),
    Effect.catchAll(() => Effect.succeed(""))
  )

/** Writes the body to its place, block by block. */
const receive = (
  run: Run,
  connection: Connection,
  response: HttpClientResponse.HttpClientResponse,
  answer: { readonly identity: FileResponse.Identity; readonly skip: number; readonly whole: boolean }
): Effect.Effect<void, Again | StorageError, Scope.Scope> =>
  Effect.gen(function* () {
    const { blockBytes, idleTimeout } = run.settings.transfer
    const blocks = yield* Blocks.make(response, { size: blockBytes, idle: idleTimeout })
    const begun = run.position
    let skip = answer.skip
    let next = yield* nextBlock(blocks, idleTimeout)
    if (begun === skip) yield* checkMagic(run, next)
    yield* settle(run, answer.identity, answer.whole)
    yield* run.source.base
    while (Option.isSome(next) && run.position < run.end) {
      connection.received(next.value.length)
      const block = next.value.subarray(Math.min(skip, next.value.length))
      skip -= next.value.length - block.length
      if (block.length > 0) yield* store(run, block)
      if (run.position >= run.end) return
      if (connection.isReplaced())
        return yield* Effect.fail(trouble("Transport", "it was much slower than the others"))
      next = yield* nextBlock(blocks, idleTimeout)
    }
    if (run.position < run.end) yield* bodyEnd(run, begun, answer.whole)
  })

const nextBlock = (
  blocks: Blocks.Blocks,
  idle: Duration.Duration
): Effect.Effect<Option.Option<Uint8Array>, Again> =>
  Effect.mapError(blocks.next, (failure) =>
    failure._tag === "Stalled"
      ? trouble("Stalled", `no byte for ${Duration.format(idle)}`)
      : trouble("Transport", "the connection broke off")
  )

/** Notes which version of the object this is, and its size as soon as it is known. */
const settle = (
  run: Run,
  identity: FileResponse.Identity,
  whole: boolean
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { source } = run
    const total = Option.orElse(identity.total, () => FileTransfer.totalOf(source))
    source.identity = Option.some({ ...identity, total })
    if (Option.isNone(total)) {
      run.end = Number.POSITIVE_INFINITY
      return
    }
    const isNew = Option.isNone(source.cells)
    const { cellBytes } = run.settings.transfer
    const cells = Option.getOrElse(source.cells, () =>
      Cells.make({ total: total.value, cellBytes, here: run.position })
    )
    source.cells = Option.some(cells)
    run.end = cells.extend({ start: run.position, end: run.end }, whole)
    if (isNew) yield* run.shared.onSize(source, total.value)
  })

/** A whole body whose length nobody promised has made the file whole; any other may be followed by the rest. */
const bodyEnd = (run: Run, begun: number, whole: boolean): Effect.Effect<void, Again | StorageError> => {
  if (whole && Option.isNone(run.source.cells)) return atEnd(run)
  return run.position === begun ? Effect.fail(trouble("Transport", "the body was empty")) : Effect.void
}

/** The object ends where we are. */
const atEnd = (run: Run): Effect.Effect<void, StorageError> => {
  const none: FileResponse.Identity = { etag: "", lastModified: "", total: Option.none() }
  const identity = Option.getOrElse(run.source.identity, () => none)
  return settle(run, { ...identity, total: Option.some(run.position) }, false)
}

const store = (run: Run, block: Uint8Array): Effect.Effect<void, Again | StorageError> =>
  Effect.gen(function* () {
    const { shared, source } = run
    const bytes = block.subarray(0, run.end - run.position)
    if (Option.exists(FileTransfer.totalOf(source), (total) => run.position + block.length > total)) {
      return yield* Effect.fail(trouble("Protocol", "more bytes came than were promised"))
    }
    yield* FileTransfer.write(source, run.position, bytes)
    run.position += bytes.length
    yield* Metric.incrementBy(Telemetry.bytes, bytes.length)
    yield* source.frontier.advance(
      Option.match(source.cells, {
        onNone: () => run.position,
        onSome: (cells) => cells.contiguous()
      })
    )
    yield* shared.onWritten(source, bytes.length)
  })

/** Of a body from the file's first byte on: a page must not even name the version. */
const checkMagic = (run: Run, first: Option.Option<Uint8Array>): Effect.Effect<void, Again> =>
  Option.match(first, {
    onNone: () => Effect.void,
    onSome: (block) => (looksLikeGzip(block) ? Effect.void : Effect.fail(noGzip(run, block)))
  })

const looksLikeGzip = (block: Uint8Array): boolean =>
  block[0] === 0x1f && (block.length === 1 || block[1] === 0x8b)

const noGzip = (run: Run, block: Uint8Array): Again => {
  const first = String.fromCharCode(block[0] ?? 0)
  const actual =
    first === "<"
      ? "a web page or XML"
      : first === "{" || first === "["
        ? "JSON that is not compressed"
        : "other bytes"
  const file = run.source.planned.name
  return {
    ...trouble("Protocol", `the body is ${actual}, not gzip`),
    otherwise: Option.some(
      new ResultsCorrupt({ reason: "Encoding", file, expected: "gzip", actual, kept: Option.none() })
    )
  }
}

const trouble = (
  reason: TransferFailed["reason"],
  detail: string,
  more?: { readonly status: number; readonly hint: Option.Option<Duration.Duration> }
): Again => ({
  _tag: "Again",
  reason,
  detail,
  status: Option.fromNullable(more?.status),
  hint: more?.hint ?? Option.none(),
  otherwise: Option.none()
})

/** A certificate that nobody vouches for, or a place where no link may lead, stays what it is. */
const unreachable = (run: Run, { detail, retryable }: BatchHttp.NetworkFailure): Again | TransferFailed => {
  const setback = trouble("Transport", detail)
  return retryable ? setback : failed({ ...run, failures: run.failures + 1 }, setback)
}

const unavailable = (
  { shared, source }: Run,
  reason: ResultsUnavailable["reason"],
  detail: string
): Effect.Effect<never, ResultsUnavailable> =>
  Effect.fail(
    new ResultsUnavailable({
      reason,
      batchId: shared.links.batchId,
      detail: `${source.planned.name}: ${detail}`
    })
  )

const refuse = (run: Run, status: number, detail: string): Effect.Effect<never, TransferFailed> =>
  Effect.suspend(() =>
    Effect.fail(
      new TransferFailed({
        reason: "Protocol",
        file: run.source.planned.name,
        status: Option.some(status),
        attempts: run.failures + 1,
        detail
      })
    )
  )

/** Pauses before the next try, or leaves it to others; gives up when too many failed without progress. */
const again = (run: Run, setback: Again): Effect.Effect<void, TransferFailed | ResultsCorrupt> =>
  Effect.gen(function* () {
    const { retry, transfer } = run.settings
    const { shared, source } = run
    if (source.progress > run.progress) yield* refund(run)
    run.failures = source.progress > run.progress ? 1 : run.failures + 1
    run.progress = source.progress
    source.retries += 1
    const delay = RetryPolicy.pause(retry, {
      attempt: run.failures,
      throttled: setback.reason === "Server",
      random: yield* Random.next,
      hint: setback.hint
    })
    const patient = !Option.exists(setback.hint, Duration.greaterThan(retry.maxRetryAfter))
    if (patient && Option.isSome(setback.hint)) yield* shared.throttle.close(delay)
    if (patient && setback.reason === "Server" && (yield* shared.isSurplus)) {
      run.left = true
      return
    }
    const cost = setback.reason === "Stalled" ? retry.timeoutCost : retry.cost
    const hopeful = patient && run.failures <= transfer.retries && (yield* shared.throttle.withdraw(cost))
    if (!hopeful) return yield* Effect.fail(Option.getOrElse(setback.otherwise, () => failed(run, setback)))
    run.spent += cost
    yield* shared.onRetry(source, setback.detail, delay)
    yield* Telemetry.count(Telemetry.retries, "of", "files")
    yield* Effect.sleep(delay)
  })

/** Tokens come back once what they paid for has brought something. */
const refund = (run: Run): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { spent } = run
    run.spent = 0
    return run.shared.throttle.deposit(spent)
  })

const failed = ({ failures, source }: Run, { detail, reason, status }: Again): TransferFailed =>
  new TransferFailed({ reason, file: source.planned.name, status, attempts: failures, detail })

/** Asks for a fresh link, once however many connections found it dead; gives up when several brought nothing. */
const renew = (
  run: Run,
  { detail, link, reason }: Renew
): Effect.Effect<void, StatusError | ResultsUnavailable> =>
  Effect.gen(function* () {
    const { settings, shared, source } = run
    if (link.generation > source.deadGeneration) {
      source.deadGeneration = link.generation
      source.renewals += 1
      source.missing += reason === "Missing" ? 1 : 0
    }
    if (source.missing > 1) return yield* unavailable(run, "Missing", detail)
    if (source.renewals > settings.transfer.maxRefreshes) return yield* unavailable(run, reason, detail)
    yield* shared.links.renew(link)
  })
