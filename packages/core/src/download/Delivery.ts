/**
 * The steps that every delivery to the disk has, whatever its rows are: alone at its destination it takes up what a crash
 * has interrupted, or fetches and proves, starts over once where that may help, publishes and clears up.
 *
 * @example
 * import { Effect, Option } from "effect"
 * import * as Delivery from "./Delivery.js"
 *
 * const whole = <E>(way: Delivery.Way<never>, options: Delivery.FetchOptions<Delivery.Way<never>, E>) =>
 *   Delivery.alone(way.destination, {
 *     takeUp: Effect.map(way.destination.takeUp, Option.map((assembled) => ({ ...way, assembled }))),
 *     find: Delivery.fetch(way, options),
 *     settle: Effect.succeed
 *   })
 */
import type { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"
import { alongside } from "../disk/Companion.js"
import * as Lock from "../disk/Lock.js"
import { BatchConfig } from "../model/BatchConfig.js"
import {
  ResultsCorrupt,
  ResultsUnavailable,
  type StorageError,
  type TableError
} from "../model/BatchError.js"
import type { BatchHttp } from "../status/BatchHttp.js"
import type { FileLinks } from "../transfer/ResultLinks.js"
import * as Assembly from "./Assembly.js"
import type { Destination } from "./Destination.js"
import type { Emit } from "./Event.js"

/** Where rows go; whoever delivers them adds how they come. `E` is what becoming their format can fail with. */
export interface Way<E = TableError> {
  readonly destination: Destination<E>
}

/** Rows that are here and proven. */
export interface Found<E = TableError> extends Way<E> {
  readonly assembled: Assembly.Assembled
}

/** What delivering needs. */
export type Needs = BatchConfig | BatchHttp | FileSystem.FileSystem | Path.Path

/**
 * Delivers to a destination, alone there: what an earlier run had proven (`takeUp`) is published, else what `find` brings,
 * which may lie elsewhere in the end. What `settle` makes of it, such as a receipt, is there before anything is cleared up with
 * which a run after a crash could go on.
 */
export const alone = <F extends Found<unknown>, E, A>(
  destination: Destination<unknown>,
  steps: {
    readonly takeUp: Effect.Effect<Option.Option<F>, StorageError, Needs>
    readonly find: Effect.Effect<F, E, Needs>
    readonly settle: (found: F) => Effect.Effect<A, StorageError, Needs>
  }
): Effect.Effect<A, E | StorageError, Needs> =>
  Effect.gen(function* () {
    const lock = yield* Lock.acquire(destination.lock, (yield* BatchConfig).transfer.lockPatience)
    const before = yield* steps.takeUp
    const found = Option.isSome(before) ? before.value : yield* publish(destination, steps.find, lock)
    const settled = yield* steps.settle(found)
    yield* found.destination.forget
    return settled
  }).pipe(Effect.scoped)

const publish = <F extends Found<unknown>, E>(
  destination: Destination<unknown>,
  find: Effect.Effect<F, E, Needs>,
  lock: Lock.Lock
): Effect.Effect<F, E | StorageError, Needs> =>
  Effect.gen(function* () {
    yield* destination.prepare
    const found = yield* alongside(find, lock.heart)
    yield* lock.check
    yield* found.destination.publish(found.assembled)
    return found
  })

/** How to fetch the files of a way. `E` is what asking for fresh links can fail with. */
export interface FetchOptions<W, E> {
  readonly links: FileLinks<E>
  /** Connections at most. Default: those of the settings. */
  readonly concurrency?: number | undefined
  readonly emit: Emit
  /** The same way once more, to what is there by then. */
  readonly anew: Effect.Effect<W, never, Path.Path>
}

/** Fetches and proves. What was replaced upstream or damaged on the way is fetched once more; what stays wrong is kept. */
export const fetch = <T, W extends Way<T>, E>(
  way: W & Way<T>,
  options: FetchOptions<W & Way<T>, E>
): Effect.Effect<W & Found<T>, Assembly.AssemblyError | T | E, Needs> =>
  Effect.gen(function* () {
    const { emit, links } = options
    const { maxConnections } = (yield* BatchConfig).transfer
    const concurrency = Math.max(1, options.concurrency ?? maxConnections)
    const assemble = (one: W & Way<T>) => {
      const { layout, writer } = one.destination
      return Assembly.assemble<T | E>({ ...layout, links, concurrency, writer, emit }).pipe(
        Effect.scoped,
        Effect.map((assembled) => ({ ...one, assembled }))
      )
    }
    return yield* assemble(way).pipe(
      Effect.catchIf(isCurable, (error) =>
        Effect.gen(function* () {
          yield* emit({ _tag: "Restarted", detail: error.message })
          yield* way.destination.forget
          return yield* assemble(yield* options.anew)
        })
      ),
      Effect.catchIf(
        (error) => error instanceof ResultsCorrupt,
        (error) => corrupt(way, error)
      )
    )
  })

/** Another version of the object, or bytes that were damaged: a fresh start may bring whole ones. */
const isCurable = (error: unknown): error is ResultsUnavailable | ResultsCorrupt =>
  (error instanceof ResultsUnavailable && error.reason === "Changed") ||
  (error instanceof ResultsCorrupt && error.reason !== "RowCount")

/** Keeps what is wrong for a look, and fails with where it is. */
export const corrupt = (
  { destination }: Way<unknown>,
  error: ResultsCorrupt
): Effect.Effect<never, ResultsCorrupt, FileSystem.FileSystem> =>
  Effect.flatMap(destination.keep, (kept) => Effect.fail(new ResultsCorrupt({ ...error, kept })))
