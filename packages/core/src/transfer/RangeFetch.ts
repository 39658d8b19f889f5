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
import { Clock, type Data, Duration, Effect, Metric, Option, Redacted, type Scope } from "effect"
import * as DurationText from "../model/DurationText.js"
import { BatchConfig, type Settings } from "../model/BatchConfig.js"
import { ResultsCorrupt, type ResultsUnavailable, TransferFailed } from "../model/BatchError.js"
import * as PresignedLink from "../model/PresignedLink.js"
import * as Telemetry from "../model/Telemetry.js"
import * as Digest from "../disk/Digest.js"
import * as RetryPolicy from "../retry/RetryPolicy.js"
import { count } from "../model/CountText.js"
import * as BatchHttp from "../status/BatchHttp.js"
import * as Blocks from "./Blocks.js"
import type * as Cells from "./Cells.js"
import type { Connection, Connections } from "./Connections.js"
import * as FileResponse from "./FileResponse.js"
import type * as FileTransfer from "./FileTransfer.js"
import type * as ResultLinks from "./ResultLinks.js"
import * as Settling from "./Settling.js"

/** What the connections of one retrieval share. `E` is what its target and asking for fresh links can fail with. */
export interface Shared<E = never> {
  readonly links: ResultLinks.FileLinks<E>
  readonly connections: Connections
  /** Whether the host bears fewer connections than are open: then what it refuses this one is left to the others. */
  readonly isSurplus: Effect.Effect<boolean>
  /** Told when bytes are written, but not synced yet. */
  readonly onWritten: (file: FileTransfer.FileTransfer<E>, bytes: number) => Effect.Effect<void>
  /** Told once of each file's size; fails where there is no room for it. */
  readonly onSize: (file: FileTransfer.FileTransfer<E>, bytes: number) => Effect.Effect<void, E>
  /** Told before the pause in which an object may come that is not there. */
  readonly onSettling: (pause: Settling.Pause) => Effect.Effect<void>
  /** Told before the pause before another try. */
  readonly onRetry: (
    file: FileTransfer.FileTransfer<E>,
    detail: string,
    delay: Duration.Duration
  ) => Effect.Effect<void>
}

/**
 * What fetching bytes can fail with, beside the failures of their target and of fresh links. A replaced object is `ResultsUnavailable` with
 * reason `Changed`: start over.
 */
export type FetchError = ResultsUnavailable | TransferFailed | ResultsCorrupt

/** Fetches all that is left of a file over one connection, in order: its first request tells the size, the next asks for the rest. */
export const fetchAll = <E>(
  shared: Shared<E>,
  file: FileTransfer.FileTransfer<E>
): Effect.Effect<void, FetchError | E, BatchHttp.BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    let claimed = file.claim(1)
    while (Option.isSome(claimed)) {
      yield* fetch(shared, file, claimed.value)
      claimed = file.claim(1)
    }
  })

/** Fetches a run that was claimed of its file, to its end, or gives the rest of it back. */
export const fetch = <E>(
  shared: Shared<E>,
  file: FileTransfer.FileTransfer<E>,
  claimed: Cells.Run
): Effect.Effect<void, FetchError | E, BatchHttp.BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    const http = yield* BatchHttp.BatchHttp
    const settings = yield* BatchConfig
    const run: Run<E> = {
      shared,
      file,
      settings,
      http,
      files: HttpClient.withScope(http.files),
      position: claimed.start,
      end: claimed.end,
      left: false
    }
    const rest = RetryPolicy.run(Effect.scoped(attempt(run)), {
      retry: settings.retry,
      throttle: http.fileThrottle,
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
  readonly file: FileTransfer.FileTransfer<E>
  readonly settings: Settings
  readonly http: BatchHttp.Service
  readonly files: HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>
  /** The first byte of the run that is not here. */
  position: number
  /** Grows when the host sends the whole file whatever it is asked for. */
  end: number
  /** Whether the rest is left to other connections. */
  left: boolean
}

/** What a request needs of a run. */
type Question<E> = Pick<Run<E>, "file" | "settings" | "files" | "position" | "end">

type Failure<E> = RetryPolicy.Failure<FetchError | E>

type Body = Data.TaggedEnum.Value<FileResponse.FileResponse, "Body">

/** One request for what is not here yet of the run, its answer and its body. */
const attempt = <E>(run: Run<E>): Effect.Effect<void, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { file, shared } = run
    const link = yield* Effect.mapError(shared.links.get(file.planned.target), RetryPolicy.final)
    const connection = yield* shared.connections.open
    const isConditional = file.isConditional()
    const response = yield* request(run, Redacted.value(link.url), run.settings.transfer.maxRedirects)
    yield* shared.links.observeDate(response.headers["date"])
    const now = yield* Clock.currentTimeMillis
    const body = response.status < 300 ? "" : yield* beginning(response)
    const answer = FileResponse.judge(
      { status: response.status, headers: response.headers, body },
      { position: run.position, end: run.end, identity: file.identity(), isConditional, now }
    )
    switch (answer._tag) {
      case "Body":
        return yield* receive(run, connection, response, answer)
      case "AtEnd":
        return yield* atEnd(run)
      case "Changed":
        return yield* Effect.fail(RetryPolicy.final(unavailable(run, "Changed", answer.detail)))
      case "Unconditional":
        return yield* Effect.fail(unconditional(run, answer.detail))
      case "Expired":
      case "Missing": {
        const expired = answer._tag === "Expired" || (yield* shared.links.isExpired(link))
        if (!expired && answer._tag === "Missing" && answer.isAbsent) {
          return yield* Effect.fail(absent(run, link, answer.detail))
        }
        return yield* Effect.fail(dead(run, link, expired ? "Expired" : "Missing", answer))
      }
      case "Busy":
        yield* connection.refused
        return yield* busy(run, answer)
      case "Broken":
        return yield* Effect.fail(trouble(run, "Protocol", answer.detail))
      case "Redirect":
        return yield* Effect.fail(refused(run, response.status, "too many redirects"))
      case "Refused":
        return yield* Effect.fail(
          answer.isLink ? dead(run, link, "Refused", answer) : refused(run, answer.status, answer.detail)
        )
    }
  })

/** A ranged GET without anything that could identify the account. Temporary redirects are followed, a few, safely. */
const request = <E>(
  run: Question<E>,
  url: string,
  redirects: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { idleTimeout } = run.settings.transfer
    const response = yield* run.files.execute(HttpClientRequest.get(url, { headers: headersFor(run) })).pipe(
      Effect.mapError((error) => unreachable(run, BatchHttp.explain(error))),
      Effect.timeoutFail({
        duration: idleTimeout,
        onTimeout: () => trouble(run, "Stalled", `no answer for ${DurationText.format(idleTimeout)}`)
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

const headersFor = <E>({ end, file, position }: Question<E>): Record<string, string> => ({
  accept: "*/*",
  "accept-encoding": "identity",
  ...(file.isPlain() ? {} : { range: `bytes=${position}-${Number.isFinite(end) ? end - 1 : ""}` }),
  ...Option.match(Option.filter(file.identity(), file.isConditional), {
    onNone: () => ({}),
    onSome: ({ etag }) => ({ "if-match": etag })
  })
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
  answer: Body
): Effect.Effect<void, Failure<E>, Scope.Scope> =>
  Effect.gen(function* () {
    const { blockBytes, idleTimeout } = run.settings.transfer
    const repeated = yield* repetition(run, answer)
    const blocks = yield* Blocks.make(response, { size: blockBytes, idle: idleTimeout })
    const begun = run.position
    let next = yield* nextBlock(run, blocks, idleTimeout)
    if (begun === answer.skip) yield* checkMagic(run, next, answer.whole)
    yield* settle(run, answer.identity, answer.whole)
    while (Option.isSome(next) && run.position < run.end) {
      connection.received(next.value.length)
      const block = yield* repeated.take(next.value)
      if (block.length > 0) yield* store(run, block)
      if (run.position >= run.end) return
      if (connection.isReplaced()) {
        return yield* Effect.fail(trouble(run, "Transport", "it was much slower than the others"))
      }
      next = yield* nextBlock(run, blocks, idleTimeout)
    }
    if (repeated.rest() > 0) return yield* Effect.fail(trouble(run, "Transport", "the body ended too early"))
    if (run.position < run.end) yield* bodyEnd(run, begun, answer.whole)
  })

/** The bytes of a body that are here already. */
interface Repetition<E> {
  /** How many are still to come. */
  readonly rest: () => number
  /** What a block brings behind them. Fails as `Changed` if they are not what they were. */
  readonly take: (block: Uint8Array) => Effect.Effect<Uint8Array, Failure<E>>
}

/** Where no ETag says that a host which begins anew sends the same, the bytes themselves do. */
const repetition = <E>(run: Run<E>, { isSame, skip }: Body): Effect.Effect<Repetition<E>, Failure<E>> => {
  const before = run.file.crcBefore(run.position)
  if (!isSame && Option.isNone(before)) {
    const detail = `asked for the bytes from ${count(run.position)} on, got those from 0 on`
    return Effect.fail(trouble(run, "Protocol", detail))
  }
  let [rest, crc] = [skip, 0]
  return Effect.succeed({
    rest: () => rest,
    take: (block) =>
      Effect.suspend(() => {
        if (rest === 0) return Effect.succeed(block)
        const known = block.subarray(0, rest)
        rest -= known.length
        if (!isSame) crc = Digest.crc32(known, crc)
        return rest > 0 || isSame || Option.contains(before, crc)
          ? Effect.succeed(block.subarray(known.length))
          : Effect.fail(
              RetryPolicy.final(unavailable(run, "Changed", "it begins with other bytes than before"))
            )
      })
  })
}

const nextBlock = <E>(
  run: Run<E>,
  blocks: Blocks.Blocks,
  idle: Duration.Duration
): Effect.Effect<Option.Option<Uint8Array>, Failure<E>> =>
  Effect.mapError(blocks.next, (failure) =>
    failure._tag === "Stalled"
      ? trouble(run, "Stalled", `no byte for ${DurationText.format(idle)}`)
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

/**
 * Fails if a body from the file's first byte on is neither gzip nor JSON lines. It comes first: a page must not even name
 * the version.
 */
const checkMagic = <E>(
  run: Run<E>,
  first: Option.Option<Uint8Array>,
  whole: boolean
): Effect.Effect<void, Failure<E>> =>
  Effect.suspend(() => {
    if (Option.isNone(first)) return Effect.void
    const form = formOf(first.value)
    const wasPlain = run.file.isPlain()
    if (form !== "gzip" && form !== "plain") return Effect.fail(noGzip(run, form))
    if (!run.file.takeAs(form)) {
      return Effect.fail(noGzip(run, form === "gzip" ? "gzip, in place of what came before" : plainJson))
    }
    if (form === "gzip" || whole) return Effect.void
    // A part of them may be a part of the compressed bytes, inflated: they are asked for whole, at once.
    const isPart = noGzip(run, plainJson)
    return Effect.fail(wasPlain ? isPart : { ...isPart, remedy: Effect.void })
  })

const plainJson = "JSON that is not compressed"

/** What a file is by its first bytes; in words, if it is nothing that we take. */
const formOf = (block: Uint8Array): string => {
  if (block[0] === 0x1f && (block.length === 1 || block[1] === 0x8b)) return "gzip"
  const text = new TextDecoder().decode(block.subarray(0, 256)).trimStart()
  if (text.startsWith("<")) return "a web page or XML"
  if (text.startsWith("[")) return "a list in JSON, not JSON lines"
  if (apiError.test(text)) return "JSON that says an error"
  return text === "" || text.startsWith("{") ? "plain" : "other bytes"
}

const apiError = /^\{\s*"(?:error|errors|message|code|detail)"\s*:/iu

const noGzip = <E>(run: Run<E>, actual: string): Failure<E> => {
  const file = run.file.planned.name
  return {
    ...trouble(run, "Protocol", `the body is ${actual}, not gzip`),
    error: () =>
      new ResultsCorrupt({ reason: "Encoding", file, expected: "gzip", actual, kept: Option.none() })
  }
}

/** A failure that another try may mend: `TransferFailed` if none does. */
const trouble = <E>(
  { file }: Pick<Run<E>, "file">,
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
const refused = <E>(run: Pick<Run<E>, "file">, status: number, detail: string): Failure<E> => ({
  ...trouble(run, "Protocol", detail, Option.some(status)),
  retry: "Never"
})

/** A failed connection. A certificate that nobody vouches for, or a place where no link may lead, stays what it is. */
const unreachable = <E>(
  run: Pick<Run<E>, "file">,
  { detail, retryable }: BatchHttp.NetworkFailure
): Failure<E> => {
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
    if (Option.isSome(hint)) yield* run.http.fileThrottle.close(hint.value)
    run.file.retried()
    run.left = true
  })

const unavailable = <E>(
  { file, shared }: Run<E>,
  reason: ResultsUnavailable["reason"],
  detail: string
): ResultsUnavailable => shared.links.unavailable(reason, `${file.planned.name}: ${detail}`)

/** The host cannot do `If-Match`: it is asked again, at once, without it, from now on. */
const unconditional = <E>(run: Run<E>, detail: string): Failure<E> => ({
  ...refused(run, 412, detail),
  remedy: Effect.sync(() => run.file.dropCondition())
})

/** A failure that a fresh link may mend. It is asked for once, however many connections found the old one dead. */
const dead = <E>(
  run: Run<E>,
  link: ResultLinks.ResultLink,
  reason: FileTransfer.Death,
  { detail, status }: { readonly detail: string; readonly status?: number }
): Failure<E> => {
  const { file, shared } = run
  const end = (why: FileTransfer.Death) =>
    why === "Refused"
      ? new TransferFailed({
          reason: "Protocol",
          file: file.planned.name,
          status: Option.fromNullable(status),
          attempts: shared.links.isRenewable ? 2 : 1,
          detail
        })
      : unavailable(run, why, shared.links.isRenewable ? `${detail}; a fresh link did not help` : detail)
  return {
    ...RetryPolicy.final(end(reason)),
    remedy: Effect.suspend((): Effect.Effect<void, FetchError | E> => {
      const hopeless = shared.links.isRenewable
        ? file.linkDied({ generation: link.generation, reason })
        : Option.some(reason)
      return Option.isSome(hopeless)
        ? Effect.fail(end(hopeless.value))
        : shared.links.renew(link, { detail: reason === "Expired" ? undefined : detail })
    })
  }
}

/** There is no object. The first time a fresh link is asked for at once; then it is waited for. */
const absent = <E>(run: Run<E>, link: ResultLinks.ResultLink, detail: string): Failure<E> => {
  const { file, settings, shared } = run
  const end = unavailable(run, "Missing", detail)
  const remedy: Effect.Effect<void, FetchError | E> = Effect.gen(function* () {
    const before = file.absentSince(yield* Clock.currentTimeNanos)
    if (Option.isNone(before)) return yield* shared.links.renew(link, { detail })
    const delay = yield* Settling.pause(settings, yield* Settling.since(before.value))
    if (Option.isNone(delay)) return yield* end
    const pause = { cause: "Missing", detail: `${file.planned.name}: ${detail}`, delay: delay.value } as const
    const first = Effect.zipRight(shared.onSettling(pause), Effect.sleep(delay.value))
    return yield* shared.links.renew(link, { first })
  })
  return { ...RetryPolicy.final(end), remedy }
}

/**
 * Which version of a file lies there now, by a request for its first byte; none if that does not say.
 */
export const look = <E>(
  links: ResultLinks.FileLinks<E>,
  file: FileTransfer.FileTransfer
): Effect.Effect<Option.Option<FileResponse.Identity>, never, BatchHttp.BatchHttp | BatchConfig> =>
  Effect.gen(function* () {
    const { files } = yield* BatchHttp.BatchHttp
    const settings = yield* BatchConfig
    const asked = { position: 0, end: 1, identity: file.identity(), isConditional: false }
    const question = { ...asked, file, settings, files: HttpClient.withScope(files) }
    const { url } = yield* Effect.mapError(links.get(file.planned.target), RetryPolicy.final)
    const { headers, status } = yield* request(question, Redacted.value(url), settings.transfer.maxRedirects)
    const now = yield* Clock.currentTimeMillis
    const answer = FileResponse.judge({ status, headers, body: "" }, { ...asked, now })
    return answer._tag === "Body" ? Option.some(answer.identity) : Option.none()
  }).pipe(Effect.scoped, Effect.option, Effect.map(Option.flatten))
