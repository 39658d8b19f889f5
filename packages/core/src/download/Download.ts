/**
 * One file behind a presigned link of your own, to the disk: as a job's results are fetched, over as many connections as
 * the host bears, going on where an earlier run ended, proven, and published under its name only when it is whole. The
 * file is gzip, or JSON lines: whatever else comes is refused.
 *
 * @example
 * import { Download } from "@org/batch-core"
 * import { type Effect, type Redacted } from "effect"
 *
 * // `sign` is run for the first link, and again whenever the one in use has ended or is about to
 * const archive = <E, R>(sign: Effect.Effect<Redacted.Redacted<string>, E, R>) =>
 *   Download.fetch(sign, { to: "archive/rows.jsonl.gz", expectedRows: 1000 })
 */
import { Path } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import { BatchConfig } from "../model/BatchConfig.js"
import {
  ResultsCorrupt,
  ResultsUnavailable,
  type StorageError,
  type TransferFailed
} from "../model/BatchError.js"
import type { Format } from "../model/Format.js"
import * as Proof from "../proof/Proof.js"
import * as ResultLinks from "../transfer/ResultLinks.js"
import type { ResultPlan } from "../transfer/ResultPlan.js"
import type { Assembled } from "./Assembly.js"
import * as Delivery from "./Delivery.js"
import * as Destination from "./Destination.js"
import * as Event from "./Event.js"

/** A presigned link. It is a secret, so better `Redacted`; it is shown nowhere either way. */
export type Link = string | Redacted.Redacted<string>

/** Where the file goes, and what is expected of it. */
export interface FetchOptions {
  /** The file to write. Its name appears only when it is complete and verified. */
  readonly to: string
  /** How many rows it must have; blank lines may count or not. Default: any number, of which gzip proves that they are all. */
  readonly expectedRows?: number | undefined
  /** `jsonl.gz`, the bytes as they come (the default), or `jsonl`, decompressed. */
  readonly format?: Exclude<Format, "csv"> | undefined
  /** Connections at most, 1 to 64; default from `BatchConfig`. */
  readonly concurrency?: number | undefined
  /** Replace an existing file. */
  readonly force?: boolean | undefined
  /** Told of everything worth showing, in order. */
  readonly onEvent?: Event.Emit | undefined
}

/** What was written, and the proof. */
export interface Fetched {
  readonly output: string
  /** Size and SHA-256 (in hexadecimal) of the file that was written. */
  readonly bytes: number
  readonly sha256: string
  /** Lines that are not blank. */
  readonly records: number
  /** The version of the object that was fetched; empty when the host named none. */
  readonly etag: string
  /** Bytes that an earlier run had already brought. */
  readonly resumedBytes: number
  /** Requests that were tried again. */
  readonly retries: number
  /** How often a fresh link was asked for. */
  readonly linkRefreshes: number
}

/** What fetching a file can fail with, beside the failures of the effect that gives its links. */
export type FetchError = ResultsUnavailable | TransferFailed | ResultsCorrupt | StorageError

/**
 * Fetches the file behind a link. Where an effect gives the link, it is run again when one has ended, is about to, or is
 * not honoured any more; a link by itself cannot be renewed. The same call again goes on where an interrupted one ended,
 * over any link to the same host and path.
 */
export const fetch = Effect.fn("Download.fetch")(function* <E = never, R = never>(
  link: Link | Effect.Effect<Link, E, R>,
  options: FetchOptions
): Effect.fn.Return<Fetched, FetchError | E, Delivery.Needs | R> {
  const { force: replace = false, onEvent: emit = Event.silent, to: output } = options
  const path = yield* Path.Path
  const name = path.basename(output)
  yield* Destination.check({ batchId: name, output, parts: false, replace })
  const sign = yield* signing(link)
  const first = yield* sign.first
  const links = yield* ResultLinks.ofLink(first, {
    settings: yield* BatchConfig,
    fresh: sign.fresh,
    onRefresh: (detail) => emit({ _tag: "LinkRefreshed", detail })
  })
  const plan: ResultPlan = { source: "merged", files: [{ index: 0, target: "merged", name }] }
  const destination = yield* Destination.make({
    subject: { link: yield* placeOf(first) },
    announced: options.expectedRows,
    name,
    plan,
    output,
    format: options.format ?? "jsonl.gz",
    emit,
    parts: false,
    replace,
    allowIncomplete: false
  })
  const way = { destination }
  yield* destination.makeFolder
  const { assembled } = yield* Delivery.alone(destination, {
    takeUp: Effect.map(
      destination.takeUp,
      Option.map((assembled) => ({ ...way, assembled }))
    ),
    find: Delivery.fetch(way, {
      links,
      emit,
      concurrency: options.concurrency,
      anew: Effect.succeed(way)
    }).pipe(Effect.tap(({ assembled }) => expect(way, name, assembled, options.expectedRows))),
    settle: Effect.succeed
  })
  yield* destination.discard
  return {
    output,
    bytes: assembled.bytes,
    sha256: assembled.sha256,
    records: assembled.records,
    etag: assembled.files[0]?.etag ?? "",
    resumedBytes: assembled.resumedBytes,
    retries: assembled.retries,
    linkRefreshes: yield* links.refreshes
  }
})

/** The first link, and how there can be fresh ones. */
interface Signing<E> {
  readonly first: Effect.Effect<Redacted.Redacted<string>, E>
  readonly fresh: Option.Option<Effect.Effect<Redacted.Redacted<string>, E>>
}

const signing = <E, R>(link: Link | Effect.Effect<Link, E, R>): Effect.Effect<Signing<E>, never, R> =>
  Effect.map(Effect.context<R>(), (context) => {
    if (!Effect.isEffect(link)) return { first: Effect.succeed(redacted(link)), fresh: Option.none() }
    const sign = Effect.map(Effect.provide(link, context), redacted)
    return { first: sign, fresh: Option.some(sign) }
  })

const redacted = (link: Link): Redacted.Redacted<string> =>
  Redacted.isRedacted(link) ? link : Redacted.make(link)

/** What a link leads to, without its signature. */
const placeOf = (link: Redacted.Redacted<string>): Effect.Effect<string, ResultsUnavailable> =>
  Effect.suspend(() => {
    const text = Redacted.value(link)
    if (!URL.canParse(text)) {
      return Effect.fail(new ResultsUnavailable({ reason: "NoLink", detail: "the link is no URL" }))
    }
    const { origin, pathname } = new URL(text)
    return Effect.succeed(`${origin}${pathname}`)
  })

const expect = (way: Delivery.Way<never>, file: string, found: Assembled, rows: number | undefined) =>
  rows === undefined || Proof.isComplete(found, rows)
    ? Effect.void
    : Delivery.corrupt(
        way,
        new ResultsCorrupt({
          reason: "RowCount",
          file,
          expected: `${rows} rows (expectedRows)`,
          actual: `${found.records} rows`,
          kept: Option.none()
        })
      )
