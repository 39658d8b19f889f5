/**
 * One file while it is being fetched, by one connection or many: which version of the object it is, which bytes of it
 * are here, and how patient we still are with it. Its connections share it, and only it changes its state.
 *
 * @example
 * import { BatchConfig } from "@org/batch-core"
 * import { Effect, Option } from "effect"
 * import * as FileTransfer from "./FileTransfer.js"
 *
 * const firstRun = (target: FileTransfer.Target) =>
 *   Effect.gen(function* () {
 *     const { transfer } = yield* BatchConfig.BatchConfig
 *     const planned = { index: 0, target: "merged", name: "results.jsonl.gz" } as const
 *     const file = yield* FileTransfer.make({ planned, target, transfer })
 *     return Option.map(file.claim(1), ({ end }) => end) // one cell, from which size and version are learnt
 *   })
 */
import { Deferred, Effect, Option } from "effect"
import type { Settings } from "../model/BatchConfig.js"
import * as Digest from "../disk/Digest.js"
import * as Cells from "./Cells.js"
import * as FileResponse from "./FileResponse.js"
import type { PlannedFile } from "./ResultPlan.js"

/** Where the bytes of a file go: to the disk, or on to whoever reads them. */
export interface Target<E = never> {
  /** Takes bytes that belong at a place. */
  readonly write: (position: number, bytes: Uint8Array) => Effect.Effect<void, E>
  /** Makes what was taken durable. */
  readonly sync: Effect.Effect<void, E>
}

/** What a later run may believe of a file, once its target is synced. */
export interface Snapshot {
  /** A strong ETag: nothing else is enough to go on with another run's bytes. */
  readonly etag: string
  readonly total: number
  readonly cellBytes: number
  /** How many bytes each cell holds. */
  readonly filled: ReadonlyArray<number>
}

/** One file while it is being fetched. */
export interface FileTransfer<E = never> {
  readonly planned: PlannedFile
  /** The file's size, as soon as it is known. */
  readonly size: Effect.Effect<number>
  /** Which version of the object this is, once a first answer has said so. */
  readonly identity: () => Option.Option<FileResponse.Identity>
  /** The size, if it is known. */
  readonly total: () => Option.Option<number>
  /** How many bytes are here. */
  readonly received: () => number
  /** How many bytes are still to come; 0 while the size is not known. */
  readonly missing: () => number
  /** How many bytes are here without a gap, from the first one. */
  readonly contiguous: () => number
  /** Whether all bytes are here. */
  readonly isWhole: () => boolean
  /** What the next connection of so many should fetch; none if all is here, under way, or not known yet. */
  readonly claim: (connections: number) => Option.Option<Cells.Run>
  /** Gives back what is not here yet of a run, for another connection. */
  readonly giveBack: (run: Cells.Run) => void
  /**
   * Notes what an answer to a run says of the object, before its bytes are written. Gives where the run ends: later when
   * `whole` says that everything follows, whatever was asked for; and whether the size was not known before.
   */
  readonly begin: (answer: {
    readonly identity: FileResponse.Identity
    readonly run: Cells.Run
    readonly whole: boolean
  }) => Effect.Effect<{ readonly end: number; readonly isNew: boolean }>
  /** Writes bytes to their place. Progress makes us patient again. */
  readonly write: (position: number, bytes: Uint8Array) => Effect.Effect<void, E>
  /** Bytes written so far by this run; also the measure of its progress. */
  readonly written: () => number
  /** Makes durable what is written. */
  readonly sync: Effect.Effect<void, E>
  /** What a later run may believe once `sync` is done; none of a version that has no strong name, or no size yet. */
  readonly snapshot: () => Option.Option<Snapshot>
  /**
   * CRC-32 of the bytes before a position, of a version without a strong name: with it, a host that sends all from the
   * first byte again is found to send the same. None if they did not come in their order.
   */
  readonly crcBefore: (position: number) => Option.Option<number>
  /** Whether the host is asked for this very version (`If-Match`): not of one without a strong name. */
  readonly isConditional: () => boolean
  /** Notes that the host cannot do `If-Match`. */
  readonly dropCondition: () => void
  /** Whether the host sends JSON lines without compression. They are asked for whole: their ranges are not reliable. */
  readonly isPlain: () => boolean
  /**
   * Notes that what comes from the first byte on is plain, or is gzip. Gives whether it can be: once bytes are believed to
   * be the one, they do not become the other.
   */
  readonly takeAs: (form: "gzip" | "plain") => boolean
  /** Notes a try after a failure. */
  readonly retried: () => void
  /** How many tries there were after a failure. */
  readonly retries: () => number
  /**
   * Notes that there is no object at a moment of the monotonic clock. Gives since when, by the same clock: none the first
   * time since the last progress.
   */
  readonly absentSince: (nanos: bigint) => Option.Option<bigint>
  /**
   * Notes that a link was found dead, once for each generation of links. Gives why to give up, when fresh links have
   * brought nothing too often: at most one after a missing object or a refusal, `maxRefreshes` in all, since the last
   * progress.
   */
  readonly linkDied: (link: { readonly generation: number; readonly reason: Death }) => Option.Option<Death>
}

/** Why a link is of no use: past its time, nothing there, or not accepted. */
export type Death = "Expired" | "Missing" | "Refused"

/**
 * The transfer of a planned file to its target. What `restored` says of an earlier run's bytes is believed; without it,
 * version, size and bytes are all still to come.
 */
export const make = <E>(options: {
  readonly planned: PlannedFile
  readonly target: Target<E>
  readonly transfer: Pick<Settings["transfer"], "cellBytes" | "maxRefreshes">
  readonly restored?: Snapshot | undefined
}): Effect.Effect<FileTransfer<E>> =>
  Effect.gen(function* () {
    const { planned, restored, target, transfer } = options
    const size = yield* Deferred.make<number>()
    let identity: Option.Option<FileResponse.Identity> = Option.none()
    let cells: Cells.Cells | undefined
    // Until the size is known there is one connection, which writes from the first byte on.
    let isClaimed = false
    let prefix = 0
    let written = 0
    let retries = 0
    let renewals = 0
    let missing = 0
    let deadGeneration = -1
    let takesCondition = true
    let isPlain = false
    let absentSince: bigint | undefined
    let [crc, crcEnd] = [0, 0]

    if (restored !== undefined) {
      identity = Option.some({ etag: restored.etag, lastModified: "", total: Option.some(restored.total) })
      cells = Cells.make(restored)
      yield* Deferred.succeed(size, restored.total)
    }
    const total = () => Option.flatMap(identity, (known) => known.total)
    const isStrong = () => Option.exists(identity, ({ etag }) => FileResponse.isStrong(etag))

    return {
      planned,
      size: Deferred.await(size),
      identity: () => identity,
      total,
      received: () => cells?.count() ?? 0,
      missing: () => (cells === undefined ? 0 : cells.total - cells.count()),
      contiguous: () => cells?.contiguous() ?? prefix,
      isWhole: () => cells !== undefined && cells.contiguous() === cells.total,
      claim: (connections) => {
        if (cells === undefined) {
          if (isClaimed) return Option.none()
          isClaimed = true
          return Option.some({ start: 0, end: transfer.cellBytes })
        }
        return cells.claim(
          connections === 1 ? Number.POSITIVE_INFINITY : Math.ceil(cells.unclaimed() / (2 * connections))
        )
      },
      giveBack: (run) => {
        if (cells === undefined) isClaimed = false
        else cells.release(run)
      },
      begin: ({ identity: named, run, whole }) =>
        Effect.suspend(() => {
          const known = Option.orElse(named.total, total)
          identity = Option.some({ ...named, total: known })
          if (Option.isNone(known)) return Effect.succeed({ end: Number.POSITIVE_INFINITY, isNew: false })
          const isNew = cells === undefined
          cells ??= Cells.make({ total: known.value, cellBytes: transfer.cellBytes, here: run.start })
          const end = cells.extend(run, whole)
          return Effect.as(Deferred.succeed(size, known.value), { end, isNew })
        }),
      write: (position, bytes) =>
        Effect.map(target.write(position, bytes), () => {
          if (position === crcEnd && !isStrong()) {
            crc = Digest.crc32(bytes, crc)
            crcEnd += bytes.length
          }
          if (cells === undefined) prefix = position + bytes.length
          else cells.fill(position, bytes.length)
          written += bytes.length
          renewals = 0
          missing = 0
          absentSince = undefined
        }),
      written: () => written,
      sync: target.sync,
      snapshot: () =>
        Option.flatMap(identity, ({ etag }) =>
          cells !== undefined && FileResponse.isStrong(etag) && !isPlain
            ? Option.some({ etag, total: cells.total, cellBytes: cells.cellBytes, filled: cells.filled() })
            : Option.none()
        ),
      crcBefore: (position) => (position === crcEnd ? Option.some(crc) : Option.none()),
      isConditional: () => takesCondition && isStrong(),
      dropCondition: () => void (takesCondition = false),
      isPlain: () => isPlain,
      takeAs: (form) => {
        if (Option.isSome(identity)) return isPlain === (form === "plain")
        isPlain = form === "plain"
        return true
      },
      retried: () => void (retries += 1),
      retries: () => retries,
      absentSince: (nanos) => {
        const before = Option.fromNullable(absentSince)
        absentSince ??= nanos
        return before
      },
      linkDied: ({ generation, reason }) => {
        if (generation > deadGeneration) {
          deadGeneration = generation
          renewals += 1
          missing += reason === "Expired" ? 0 : 1
        }
        if (missing > 1) return Option.some(reason === "Expired" ? "Missing" : reason)
        return renewals > transfer.maxRefreshes ? Option.some(reason) : Option.none()
      }
    }
  })
