/**
 * One results file → its bytes at their place on disk, whatever the network does on the way. The whole unit is
 * tried again (link, request, answer, body), from the first byte that is not here yet; an answer is believed only
 * if it is about the same version of the same object and begins where it was asked to.
 *
 * @example
 * import { Effect } from "effect"
 * import { Frontier, type ResultLink, type Throttle, Transfer } from "@org/batch-core"
 *
 * const program = (links: ResultLink.Links, throttle: Throttle.Throttle) =>
 *   Effect.gen(function* () {
 *     const frontier = yield* Frontier.make
 *     const file = { index: 0, target: "merged", name: "merged.jsonl.gz" } as const
 *     return yield* Transfer.fetch({ file, links, throttle, path: "out.partial", base: Effect.succeed(0), frontier })
 *   })
 */
import {
  type FileSystem,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
  HttpIncomingMessage
} from "@effect/platform"
import { Clock, Duration, Effect, Option, Random, Redacted, Ref, type Scope } from "effect"
import { BatchConfig, type Settings } from "./BatchConfig.js"
import {
  ResultsCorrupt,
  ResultsUnavailable,
  type StatusError,
  type StorageError,
  type TransferError,
  TransferFailed
} from "./BatchError.js"
import * as BatchHttp from "./BatchHttp.js"
import * as Blocks from "./Blocks.js"
import * as FileAnswer from "./FileAnswer.js"
import type { Frontier } from "./Frontier.js"
import * as ResultLink from "./ResultLink.js"
import type { PlannedFile } from "./ResultPlan.js"
import * as RetryPolicy from "./RetryPolicy.js"
import * as Storage from "./Storage.js"
import type { Throttle } from "./Throttle.js"

/** What to fetch, and where it goes. */
export interface FetchOptions {
  readonly file: PlannedFile
  readonly links: ResultLink.Links
  /** What all transfers from the file host share. */
  readonly throttle: Throttle
  /** The file on disk, which exists. */
  readonly path: string
  /** Where in it the first byte goes; awaited before the first write. */
  readonly base: Effect.Effect<number>
  /** Told how far the bytes are written, counted from `base`. */
  readonly frontier: Frontier
  /** Told the size, once, as soon as it is known. */
  readonly onSize?: ((bytes: number) => Effect.Effect<void>) | undefined
  /** Told of the bytes of each block. */
  readonly onBytes?: ((bytes: number) => Effect.Effect<void>) | undefined
  /** Told before the pause before another try. */
  readonly onRetry?: ((detail: string, delay: Duration.Duration) => Effect.Effect<void>) | undefined
}

/** A file that is here and synced. */
export interface Fetched {
  readonly bytes: number
  readonly etag: string
  readonly retries: number
}

/** Fetches one file to its end. A replaced object is `ResultsUnavailable` with reason `Changed`: start over. */
export const fetch = Effect.fn("Transfer.fetch")(function* (
  options: FetchOptions
): Effect.fn.Return<
  Fetched,
  TransferError,
  BatchHttp.BatchHttp | BatchConfig | FileSystem.FileSystem | Scope.Scope
> {
  const run = yield* begin(options)
  while (!isWhole(yield* Ref.get(run.state))) {
    const before = yield* Ref.get(run.state)
    yield* Effect.scoped(attempt(run)).pipe(
      Effect.catchTags({
        Again: (setback) => again(run, before.position, setback),
        Renew: (setback) => renew(run, before.position, setback)
      })
    )
  }
  yield* Storage.sync(run.target, options.path)
  yield* options.frontier.close
  const { identity, position, retries } = yield* Ref.get(run.state)
  yield* options.throttle.deposit(Math.max(1, retries * run.settings.retry.cost))
  return {
    bytes: position,
    retries,
    etag: Option.match(identity, { onNone: () => "", onSome: (known) => known.etag })
  }
}, Effect.scoped)

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
  readonly link: ResultLink.ResultLink
  readonly detail: string
}

interface State {
  /** The first byte that is not here. */
  readonly position: number
  readonly identity: Option.Option<FileAnswer.Identity>
  readonly retries: number
  /** Since the last progress. */
  readonly failures: number
  readonly renewals: number
  readonly missing: number
}

interface Run extends FetchOptions {
  readonly settings: Settings
  readonly files: HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>
  readonly target: FileSystem.File
  readonly state: Ref.Ref<State>
}

const begin = (options: FetchOptions) =>
  Effect.gen(function* () {
    const { files } = yield* BatchHttp.BatchHttp
    const run: Run = {
      ...options,
      settings: yield* BatchConfig,
      files: HttpClient.withScope(files),
      target: yield* Storage.open(options.path, "r+"),
      state: yield* Ref.make<State>({
        position: 0,
        identity: Option.none(),
        retries: 0,
        failures: 0,
        renewals: 0,
        missing: 0
      })
    }
    return run
  })

const totalOf = (state: State): Option.Option<number> =>
  Option.flatMap(state.identity, (known) => known.total)

const isWhole = (state: State): boolean => Option.contains(totalOf(state), state.position)

/** One request for everything that is not here yet, its answer and its body. */
const attempt = (
  run: Run
): Effect.Effect<
  void,
  Again | Renew | StatusError | ResultsUnavailable | TransferFailed | ResultsCorrupt | StorageError,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const link = yield* run.links.get(run.file.target)
    yield* run.throttle.enter
    const { identity, position } = yield* Ref.get(run.state)
    const response = yield* request(run, Redacted.value(link.url), run.settings.transfer.maxRedirects)
    yield* run.links.observeDate(response.headers["date"])
    const now = yield* Clock.currentTimeMillis
    const body = response.status < 300 ? "" : yield* beginning(response)
    const answer = FileAnswer.judge(
      { status: response.status, headers: response.headers, body },
      { position, identity, now }
    )
    const expired = yield* run.links.isExpired(link)
    switch (answer._tag) {
      case "Body":
        return yield* receive(run, response, answer)
      case "AtEnd":
        return yield* settle(run, {
          etag: "",
          lastModified: "",
          ...known(identity),
          total: Option.some(position)
        })
      case "Changed":
        return yield* unavailable(run, "Changed", answer.detail)
      case "Expired":
        return yield* Effect.fail<Renew>({ _tag: "Renew", reason: "Expired", link, detail: answer.detail })
      case "Missing":
        return yield* Effect.fail<Renew>({
          _tag: "Renew",
          reason: expired ? "Expired" : "Missing",
          link,
          detail: answer.detail
        })
      case "Busy":
        return yield* Effect.fail(trouble("Server", answer.detail, answer))
      case "Broken":
        return yield* Effect.fail(trouble("Protocol", answer.detail))
      case "Redirect":
        return yield* refuse(run, response.status, "too many redirects")
      case "Refused":
        return yield* refuse(run, answer.status, answer.detail)
    }
  })

const known = (identity: Option.Option<FileAnswer.Identity>): Partial<FileAnswer.Identity> =>
  Option.getOrElse(identity, () => ({}))

/** A ranged GET without anything that could identify the account. Temporary redirects are followed, a few, safely. */
const request = (
  run: Run,
  url: string,
  redirects: number
): Effect.Effect<HttpClientResponse.HttpClientResponse, Again | TransferFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const { identity, position } = yield* Ref.get(run.state)
    const response = yield* run.files
      .execute(HttpClientRequest.get(url, { headers: headersFor(position, identity) }))
      .pipe(
        Effect.mapError((error) => trouble("Transport", BatchHttp.explain(error).detail)),
        Effect.timeoutFail({
          duration: run.settings.transfer.idleTimeout,
          onTimeout: () =>
            trouble("Stalled", `no answer for ${Duration.format(run.settings.transfer.idleTimeout)}`)
        })
      )
    const location = [302, 303, 307, 308].includes(response.status) ? response.headers["location"] : undefined
    if (location === undefined || redirects === 0) return response
    const next = URL.canParse(location, url) ? new URL(location, url) : undefined
    if (
      next === undefined ||
      !ResultLink.isAllowed(next, new URL(run.settings.baseUrl).protocol === "http:")
    ) {
      return yield* refuse(run, response.status, "it redirects to a place that is not https")
    }
    return yield* request(run, next.href, redirects - 1)
  })

const headersFor = (
  position: number,
  identity: Option.Option<FileAnswer.Identity>
): Record<string, string> => ({
  accept: "*/*",
  "accept-encoding": "identity",
  range: `bytes=${position}-`,
  ...Option.match(
    Option.filter(identity, ({ etag }) => FileAnswer.isStrong(etag)),
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
  response: HttpClientResponse.HttpClientResponse,
  answer: { readonly identity: FileAnswer.Identity; readonly skip: number }
): Effect.Effect<void, Again | StorageError> =>
  Effect.gen(function* () {
    const { blockBytes, idleTimeout } = run.settings.transfer
    const blocks = yield* Blocks.make(response, { size: blockBytes, idle: idleTimeout })
    yield* settle(run, answer.identity)
    const begun = yield* Ref.get(run.state)
    const base = yield* run.base
    let skip = answer.skip
    while (true) {
      const next = yield* Effect.mapError(blocks.next, (failure) =>
        failure._tag === "Stalled"
          ? trouble("Stalled", `no byte for ${Duration.format(idleTimeout)}`)
          : trouble("Transport", "the connection broke off")
      )
      if (Option.isNone(next))
        return yield* bodyEnd(run, begun.position, Option.isSome(answer.identity.total))
      const block = next.value.subarray(Math.min(skip, next.value.length))
      skip -= next.value.length - block.length
      if (block.length > 0) yield* store(run, base, block)
    }
  })

/** Notes what the object is, and its size as soon as it is known. */
const settle = (run: Run, identity: FileAnswer.Identity): Effect.Effect<void> =>
  Effect.gen(function* () {
    const before = yield* Ref.getAndUpdate(run.state, (state) => ({
      ...state,
      identity: Option.some({ ...identity, total: Option.orElse(identity.total, () => totalOf(state)) })
    }))
    if (Option.isNone(totalOf(before)) && Option.isSome(identity.total)) {
      yield* run.onSize?.(identity.total.value) ?? Effect.void
    }
  })

/** A body whose length nobody promised has made the file whole; any other may be followed by the rest. */
const bodyEnd = (run: Run, begun: number, promised: boolean): Effect.Effect<void, Again> =>
  Effect.gen(function* () {
    const { identity, position } = yield* Ref.get(run.state)
    if (promised && position === begun) return yield* Effect.fail(trouble("Transport", "the body was empty"))
    if (promised) return
    yield* settle(run, { etag: "", lastModified: "", ...known(identity), total: Option.some(position) })
  })

const store = (run: Run, base: number, block: Uint8Array): Effect.Effect<void, Again | StorageError> =>
  Effect.gen(function* () {
    const state = yield* Ref.get(run.state)
    const end = state.position + block.length
    if (state.position === 0 && !looksLikeGzip(block)) return yield* Effect.fail(noGzip(run, block))
    if (Option.exists(totalOf(state), (total) => end > total)) {
      return yield* Effect.fail(trouble("Protocol", "more bytes came than were promised"))
    }
    yield* Storage.writeAt(run.target, run.path, base + state.position, block)
    yield* Ref.set(run.state, { ...state, position: end, failures: 0, renewals: 0, missing: 0 })
    yield* run.frontier.advance(end)
    yield* run.onBytes?.(block.length) ?? Effect.void
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
  return {
    ...trouble("Protocol", `the body is ${actual}, not gzip`),
    otherwise: Option.some(
      new ResultsCorrupt({
        reason: "Encoding",
        file: run.file.name,
        expected: "gzip",
        actual,
        kept: Option.none()
      })
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

const unavailable = (
  run: Run,
  reason: ResultsUnavailable["reason"],
  detail: string
): Effect.Effect<never, ResultsUnavailable> =>
  Effect.fail(
    new ResultsUnavailable({ reason, batchId: run.links.batchId, detail: `${run.file.name}: ${detail}` })
  )

const refuse = (run: Run, status: number, detail: string): Effect.Effect<never, TransferFailed> =>
  Effect.flatMap(Ref.get(run.state), ({ retries }) =>
    Effect.fail(
      new TransferFailed({
        reason: "Protocol",
        file: run.file.name,
        status: Option.some(status),
        attempts: retries + 1,
        detail
      })
    )
  )

/** Counts a failed attempt; one that brought bytes starts the count again. */
const count = (run: Run, before: number, change: (state: State) => State): Effect.Effect<State> =>
  Ref.updateAndGet(run.state, (state) =>
    change(state.position > before ? { ...state, failures: 0, renewals: 0, missing: 0 } : state)
  )

const again = (
  run: Run,
  before: number,
  setback: Again
): Effect.Effect<void, TransferFailed | ResultsCorrupt> =>
  Effect.gen(function* () {
    const { retry, transfer } = run.settings
    const state = yield* count(run, before, (held) => ({
      ...held,
      failures: held.failures + 1,
      retries: held.retries + 1
    }))
    const throttled = setback.reason === "Server"
    const random = yield* Random.next
    const delay = RetryPolicy.pause(retry, { attempt: state.failures, throttled, random, hint: setback.hint })
    const hopeless =
      state.failures > transfer.retries ||
      Option.exists(setback.hint, Duration.greaterThan(retry.maxRetryAfter)) ||
      !(yield* run.throttle.withdraw(setback.reason === "Stalled" ? retry.timeoutCost : retry.cost))
    if (hopeless) {
      return yield* Option.getOrElse(
        setback.otherwise,
        () =>
          new TransferFailed({
            reason: setback.reason,
            file: run.file.name,
            status: setback.status,
            attempts: state.failures,
            detail: setback.detail
          })
      )
    }
    if (Option.isSome(setback.hint)) yield* run.throttle.close(delay)
    yield* run.onRetry?.(setback.detail, delay) ?? Effect.void
    yield* Effect.sleep(delay)
  })

const renew = (
  run: Run,
  before: number,
  setback: Renew
): Effect.Effect<void, StatusError | ResultsUnavailable> =>
  Effect.gen(function* () {
    const state = yield* count(run, before, (held) => ({
      ...held,
      renewals: held.renewals + 1,
      missing: held.missing + (setback.reason === "Missing" ? 1 : 0)
    }))
    if (state.missing > 1) return yield* unavailable(run, "Missing", setback.detail)
    if (state.renewals > run.settings.transfer.maxRefreshes) {
      return yield* unavailable(run, setback.reason, setback.detail)
    }
    yield* run.links.renew(setback.link)
  })
