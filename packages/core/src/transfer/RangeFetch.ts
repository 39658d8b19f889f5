/**
 * One run of bytes of a results file → their place in the target, whatever the network does on the way. The whole unit
 * (link, request, answer, body) is tried again from the first byte that is not here yet; an answer is believed only
 * if it is about the same version of the same object and begins where it was asked to.
 *
 * @example
 * import { Effect } from "effect"
 * import type * as FileTransfer from "./FileTransfer.js"
 * import * as RangeFetch from "./RangeFetch.js"
 *
 * const firstMegabyte = (shared: RangeFetch.Shared, file: FileTransfer.FileTransfer) =>
 *   RangeFetch.fetch(shared, file, { start: 0, end: 1_048_576 })
 */
import {
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  HttpIncomingMessage
} from "@effect/platform"
import { Clock, Duration, Effect, Metric, Option, Redacted, type Scope } from "effect"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import { ResultsCorrupt, ResultsUnavailable, type StatusError, TransferFailed } from "../model/BatchError.js"
import * as PresignedLink from "../model/PresignedLink.js"
import * as Telemetry from "../model/Telemetry.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import type { Throttle } from "../retry/Throttle.js"
import * as BatchHttp from "../status/BatchHttp.js"
import * as Blocks from "./Blocks.js"
import type * as Cells from "./Cells.js"
import type { Connection, Connections } from "./Connections.js"
import * as FileResponse from "./FileResponse.js"
import type { FileTransfer } from "./FileTransfer.js"
import type * as ResultLinks from "./ResultLinks.js"

/** What the connections of one retrieval share. `E` is what its target can fail with. */
export interface Shared<E = never> {
  readonly links: ResultLinks.Links
  /** Gate and retry budget for the file host. */
  readonly throttle: Throttle
  readonly connections: Connections
  /** Whether the host bears fewer connections than are open: then what it refuses this one is left to the others. */
  readonly isSurplus: Effect.Effect<boolean>
  /** Told when bytes are written, but not synced yet. */
  readonly onWritten: (file: FileTransfer<E>, bytes: number) => Effect.Effect<void>
  /** Told once of each file's size; fails where there is no room for it. */
  readonly onSize: (file: FileTransfer<E>, bytes: number) => Effect.Effect<void, E>
  /** Told before the pause before another try. */
  readonly onRetry: (file: FileTransfer<E>, detail: string, delay: Duration.Duration) => Effect.Effect<void>
}

/**
 * What fetching bytes can fail with, beside the failures of their target. A replaced object is `ResultsUnavailable` with
 * reason `Changed`: start over.
 */
export type FetchError = StatusError | ResultsUnavailable | TransferFailed | ResultsCorrupt

/** Fetches a run that was claimed of its file, to its end, or gives the rest of it back. */
export const fetch = <E>(
  shared: Shared<E>,
  file: FileTransfer<E>,
  claimed: Cells.Run
): Effect.Effect<void, FetchError | E, BatchHttp.BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    const { files } = yield* BatchHttp.BatchHttp
    const settings = yield* BatchConfig
    const run: Run<E> = {
      shared,
      file,
      settings,
      files: HttpClient.withScope(files),
      position: claimed.start,
      end: claimed.end,
      left: false
    }
    const rest = RetryPolicy.run(Effect.scoped(attempt(run)), {
      retry: settings.retry,
      throttle: shared.throttle,
      limit: settings.transfer.retries,
      progress: file.written,
      onPause: ({ detail = "" }, delay) => {
        file.retried()
        return shared.onRetry(file, detail, delay)
      },
      of: "files"
    })
    const isOver = () => run.left || run.position >= run.end || file.isWhole()
    yield* Effect.whileLoop({ while: () => !isOver(), body: () => rest, step: () => undefined }).pipe(
      Effect.ensuring(Effect.sync(() => file.giveBack({ start: run.position, end: run.end })))
    )
  })

interface Run<E> {
  readonly shared: Shared<E>
  readonly file: FileTransfer<E>
  readonly settings: Settings
  readonly files: HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>
  /** The first byte of the run that is not here. */
  position: number
  /** Grows when the host sends the whole file whatever it is asked for. */
  end: number
  /** Whether the rest is left to other connections. */
  left: boolean
}

type Failure<E> = RetryPolicy.Failure<FetchError | E>

/** One request for what is not here yet of the run, its answer and its body. */
const attempt = <E>(run: Run<E>): Effect.Effect<void, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { file, shared } = run
    const link = yield* Effect.mapError(shared.links.get(file.planned.target), RetryPolicy.final)
    const connection = yield* shared.connections.open
    const response = yield* request(run, Redacted.value(link.url), run.settings.transfer.maxRedirects)
    yield* shared.links.observeDate(response.headers["date"])
    const now = yield* Clock.currentTimeMillis
    const body = response.status < 300 ? "" : yield* beginning(response)
    const answer = FileResponse.judge(
      { status: response.status, headers: response.headers, body },
      { position: run.position, end: run.end, identity: file.identity(), now }
    )
    switch (answer._tag) {
      case "Body":
        return yield* receive(run, connection, response, answer)
      case "AtEnd":
        return yield* atEnd(run)
      case "Changed":
        return yield* Effect.fail(RetryPolicy.final(unavailable(run, "Changed", answer.detail)))
      case "Expired":
      case "Missing": {
        const expired = answer._tag === "Expired" || (yield* shared.links.isExpired(link))
        return yield* Effect.fail(dead(run, link, expired ? "Expired" : "Missing", answer.detail))
      }
      case "Busy":
        yield* connection.refused
        return yield* busy(run, answer)
      case "Broken":
        return yield* Effect.fail(trouble(run, "Protocol", answer.detail))
      case "Redirect":
        return yield* Effect.fail(refused(run, response.status, "too many redirects"))
      case "Refused":
        return yield* Effect.fail(refused(run, answer.status, answer.detail))
    }
  })

/** A ranged GET without anything that could identify the account. Temporary redirects are followed, a few, safely. */
const request = <E>(
  run: Run<E>,
  url: string,
  redirects: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { idleTimeout } = run.settings.transfer
    const response = yield* run.files.execute(HttpClientRequest.get(url, { headers: headersFor(run) })).pipe(
      Effect.mapError((error) => unreachable(run, BatchHttp.explain(error))),
      Effect.timeoutFail({
        duration: idleTimeout,
        onTimeout: () => trouble(run, "Stalled", `no answer for ${Duration.format(idleTimeout)}`)
      })
    )
    const location = FileResponse.isRedirect(response.status) ? response.headers["location"] : undefined
    if (location === undefined || redirects === 0) return response
    const next = PresignedLink.redirected(location, url)
    if (Option.isNone(next) || !PresignedLink.isAllowed(new URL(next.value), run.settings.baseUrl)) {
      return yield* Effect.fail(refused(run, response.status, "it redirects to a place that is not https"))
    }
    return yield* request(run, next.value, redirects - 1)
  })

const headersFor = <E>({ end, file, position }: Run<E>): Record<string, string> => ({
  accept: "*/*",
  "accept-encoding": "identity",
  range: `bytes=${position}-${Number.isFinite(end) ? end - 1 : ""}`,
  ...Option.match(
    Option.filter(file.identity(), ({ etag }) => FileResponse.isStrong(etag)),
    { onNone: () => ({}), onSome: ({ etag }) => ({ "if-match": etag }) }
  )
})

/** The body of an error, in which its code is found; empty if it is too long or does not come. */
const beginning = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<string> =>
  response.text.pipe(
    HttpIncomingMessage.withMaxBodySize(Option.some(65_536)),
    Effect.timeout("10 seconds"),
    Effect.catchAll(() => Effect.succeed(""))
  )

/** Writes the body to its place, block by block. */
const receive = <E>(
  run: Run<E>,
  connection: Connection,
  response: HttpClientResponse.HttpClientResponse,
  answer: { readonly identity: FileResponse.Identity; readonly skip: number; readonly whole: boolean }
): Effect.Effect<void, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { blockBytes, idleTimeout } = run.settings.transfer
    const blocks = yield* Blocks.make(response, { size: blockBytes, idle: idleTimeout })
    const begun = run.position
    let skip = answer.skip
    let next = yield* nextBlock(run, blocks, idleTimeout)
    if (begun === skip) yield* checkMagic(run, next)
    yield* settle(run, answer.identity, answer.whole)
    while (Option.isSome(next) && run.position < run.end) {
      connection.received(next.value.length)
      const block = next.value.subarray(Math.min(skip, next.value.length))
      skip -= next.value.length - block.length
      if (block.length > 0) yield* store(run, block)
      if (run.position >= run.end) return
      if (connection.isReplaced()) {
        return yield* Effect.fail(trouble(run, "Transport", "it was much slower than the others"))
      }
      next = yield* nextBlock(run, blocks, idleTimeout)
    }
    if (run.position < run.end) yield* bodyEnd(run, begun, answer.whole)
  })

const nextBlock = <E>(
  run: Run<E>,
  blocks: Blocks.Blocks,
  idle: Duration.Duration
): Effect.Effect<Option.Option<Uint8Array>, Failure<E>> =>
  Effect.mapError(blocks.next, (failure) =>
    failure._tag === "Stalled"
      ? trouble(run, "Stalled", `no byte for ${Duration.format(idle)}`)
      : trouble(run, "Transport", "the connection broke off")
  )

/** Notes which version of the object this is, and its size as soon as it is known. */
const settle = <E>(
  run: Run<E>,
  identity: FileResponse.Identity,
  whole: boolean
): Effect.Effect<void, Failure<E>> =>
  Effect.gen(function* () {
    const { file, position, shared } = run
    const { end, isNew } = yield* file.begin({ identity, run: { start: position, end: run.end }, whole })
    run.end = end
    if (!isNew) return
    const total = Option.getOrElse(file.total(), () => 0)
    yield* Effect.mapError(shared.onSize(file, total), RetryPolicy.final)
  })

/** A whole body whose length nobody promised has made the file whole; any other may be followed by the rest. */
const bodyEnd = <E>(run: Run<E>, begun: number, whole: boolean): Effect.Effect<void, Failure<E>> => {
  if (whole && Option.isNone(run.file.total())) return atEnd(run)
  return run.position === begun ? Effect.fail(trouble(run, "Transport", "the body was empty")) : Effect.void
}

/** Notes that the object ends at the run's position, which makes that its size. */
const atEnd = <E>(run: Run<E>): Effect.Effect<void, Failure<E>> => {
  const none: FileResponse.Identity = { etag: "", lastModified: "", total: Option.none() }
  const identity = Option.getOrElse(run.file.identity(), () => none)
  return settle(run, { ...identity, total: Option.some(run.position) }, false)
}

/** Writes a block, of which only bytes of the run count. */
const store = <E>(run: Run<E>, block: Uint8Array): Effect.Effect<void, Failure<E>> =>
  Effect.gen(function* () {
    const { file, shared } = run
    const bytes = block.subarray(0, run.end - run.position)
    if (Option.exists(file.total(), (total) => run.position + block.length > total)) {
      return yield* Effect.fail(trouble(run, "Protocol", "more bytes came than were promised"))
    }
    yield* Effect.mapError(file.write(run.position, bytes), RetryPolicy.final)
    run.position += bytes.length
    yield* Metric.incrementBy(Telemetry.bytes, bytes.length)
    yield* shared.onWritten(file, bytes.length)
  })

/** Fails if a body from the file's first byte on is not gzip. It comes first: a page must not even name the version. */
const checkMagic = <E>(run: Run<E>, first: Option.Option<Uint8Array>): Effect.Effect<void, Failure<E>> =>
  Option.match(first, {
    onNone: () => Effect.void,
    onSome: (block) => (looksLikeGzip(block) ? Effect.void : Effect.fail(noGzip(run, block)))
  })

const looksLikeGzip = (block: Uint8Array): boolean =>
  block[0] === 0x1f && (block.length === 1 || block[1] === 0x8b)

const noGzip = <E>(run: Run<E>, block: Uint8Array): Failure<E> => {
  const first = String.fromCharCode(block[0] ?? 0)
  const actual =
    first === "<"
      ? "a web page or XML"
      : first === "{" || first === "["
        ? "JSON that is not compressed"
        : "other bytes"
  const file = run.file.planned.name
  return {
    ...trouble(run, "Protocol", `the body is ${actual}, not gzip`),
    error: () =>
      new ResultsCorrupt({ reason: "Encoding", file, expected: "gzip", actual, kept: Option.none() })
  }
}

/** A failure that another try may mend: `TransferFailed` if none does. */
const trouble = <E>(
  { file }: Run<E>,
  reason: TransferFailed["reason"],
  detail: string,
  status: Option.Option<number> = Option.none()
): Failure<E> => ({
  retry: reason === "Stalled" ? "Timeout" : "Transient",
  hint: Option.none(),
  detail,
  error: (attempts) => new TransferFailed({ reason, file: file.planned.name, status, attempts, detail })
})

/** A failure that no other try will mend. */
const refused = <E>(run: Run<E>, status: number, detail: string): Failure<E> => ({
  ...trouble(run, "Protocol", detail, Option.some(status)),
  retry: "Never"
})

/** A failed connection. A certificate that nobody vouches for, or a place where no link may lead, stays what it is. */
const unreachable = <E>(run: Run<E>, { detail, retryable }: BatchHttp.NetworkFailure): Failure<E> => {
  const failure: Failure<E> = trouble(run, "Transport", detail)
  return retryable ? failure : { ...failure, retry: "Never" }
}

/** The host is overloaded. Where it bears fewer connections, the rest of the run is left to the others. */
const busy = <E>(
  run: Run<E>,
  { detail, hint, status }: { readonly status: number; readonly detail: string } & Pick<Failure<E>, "hint">
): Effect.Effect<void, Failure<E>> =>
  Effect.gen(function* () {
    const { settings, shared } = run
    const patient = !Option.exists(hint, Duration.greaterThan(settings.retry.maxRetryAfter))
    if (!patient || !(yield* shared.isSurplus)) {
      const failure: Failure<E> = trouble(run, "Server", detail, Option.some(status))
      const retry = Option.isSome(hint) ? ("Throttled" as const) : ("Overloaded" as const)
      return yield* Effect.fail<Failure<E>>({ ...failure, retry, hint })
    }
    if (Option.isSome(hint)) yield* shared.throttle.close(hint.value)
    run.file.retried()
    run.left = true
  })

const unavailable = <E>(
  { file, shared }: Run<E>,
  reason: ResultsUnavailable["reason"],
  detail: string
): ResultsUnavailable =>
  new ResultsUnavailable({
    reason,
    batchId: shared.links.batchId,
    detail: `${file.planned.name}: ${detail}`
  })

/** A failure that a fresh link may mend. It is asked for once, however many connections found the old one dead. */
const dead = <E>(
  run: Run<E>,
  link: ResultLinks.ResultLink,
  reason: "Expired" | "Missing",
  detail: string
): Failure<E> => {
  const { file, shared } = run
  return {
    ...RetryPolicy.final(unavailable(run, reason, detail)),
    remedy: Effect.suspend((): Effect.Effect<void, FetchError> => {
      const hopeless = file.linkDied({ generation: link.generation, reason })
      return Option.isSome(hopeless)
        ? Effect.fail(unavailable(run, hopeless.value, detail))
        : shared.links.renew(link)
    })
  }
}
