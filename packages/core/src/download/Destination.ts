/**
 * Where a result goes, and what lies beside it until it is whole: `<output>.partial` with its `.journal` and `.lock`;
 * what turns out to be wrong stays as `<output>.corrupt`, under a name that nobody takes for the result.
 *
 * @example
 * import { Effect } from "effect"
 * import type * as Assembly from "./Assembly.js"
 * import * as Destination from "./Destination.js"
 *
 * const whole = (destination: Destination.Destination, assembled: Assembly.Assembled) =>
 *   Effect.zipRight(destination.publish(assembled), destination.forget)
 */
import { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"
import type { Assembled } from "./Assembly.js"
import type { Batch } from "../model/Batch.js"
import { type StorageError, storageErrorAt } from "../model/BatchError.js"
import * as PartialFiles from "./PartialFiles.js"
import type { Format } from "../model/Format.js"
import * as Journal from "./Journal.js"
import * as Proof from "../proof/Proof.js"
import type { PlannedFile, ResultPlan } from "../transfer/ResultPlan.js"
import * as RowWriter from "./RowWriter.js"
import * as Storage from "../disk/Storage.js"

/** What was asked for. */
export interface Request {
  readonly batch: Batch
  readonly plan: ResultPlan
  /** The file, or with `parts` the folder. */
  readonly output: string
  readonly format: Format
  /** Of `csv`: those of all rows if none are named. */
  readonly columns?: ReadonlyArray<string> | undefined
  readonly parts: boolean
  /** Whether an existing destination may be replaced. */
  readonly replace: boolean
  /** A second attempt, whose bytes lie beside those of the first. */
  readonly aside?: boolean | undefined
}

/** Where a result goes. */
export interface Destination {
  /** Where the bytes lie until they are published, and which run may go on with them. */
  readonly layout: PartialFiles.Layout
  readonly lock: string
  /** Takes the decompressed rows until they are published, if they are wanted. */
  readonly sink: RowWriter.Open | undefined
  /** Makes the folder. */
  readonly makeFolder: Effect.Effect<void, StorageError, FileSystem.FileSystem>
  /** Refuses what could not be written in the end, and takes up what a crash left half published. */
  readonly prepare: Effect.Effect<void, StorageError, FileSystem.FileSystem>
  /** Gives everything its own name. */
  readonly publish: (assembled: Assembled) => Effect.Effect<void, StorageError, Needs>
  /** Writes an empty result: one empty gzip member, an empty file or a header; no part files. Gives its bytes. */
  readonly publishNothing: Effect.Effect<Uint8Array, StorageError, Needs>
  /** The name under which an assembled file is published. */
  readonly nameOf: (path: string) => string
  /** Keeps what is wrong for a look, and says where. */
  readonly keep: Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem>
  /** Removes what lies beside the output. */
  readonly forget: Effect.Effect<void, StorageError, FileSystem.FileSystem>
}

type Needs = FileSystem.FileSystem | Path.Path

/**
 * Refuses a destination that exists (unless it may be replaced) or is no plain file, before anything is asked for.
 * With a journal beside it, a crash may have come between its publication and the clearing up: that is seen later.
 */
export const check = (
  request: Pick<Request, "output" | "parts" | "replace">
): Effect.Effect<void, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const journals = [`${request.output}.journal`, `${request.output}.parts.journal`]
    const found = yield* Effect.forEach(journals, (path) =>
      Effect.mapError(fs.exists(path), storageErrorAt(path))
    )
    if (!request.parts && !found.includes(true)) yield* Storage.checkDestination(request.output, request)
  })

/** Where the result of a request goes. */
export const make = (request: Request): Effect.Effect<Destination, never, Path.Path> =>
  Effect.map(Path.Path, (path) => {
    const { batch, columns, format, output, parts, plan, replace } = request
    const place = parts ? path.join(output, batch.batchId) : output
    const beside = request.aside === true ? `${place}.parts` : place
    const inflated = format !== "jsonl.gz"
    const spool = partialOf(inflated ? `${beside}.gz` : beside)
    const inflateTo = inflated ? partialOf(beside) : undefined
    const pathOf = (file: PlannedFile) => (parts ? partialOf(path.join(output, file.name)) : spool)
    const targets = parts ? plan.files.map(({ name }) => path.join(output, name)) : [output]
    const layout: PartialFiles.Layout = {
      files: plan.files,
      pathOf,
      journal: `${beside}.journal`,
      purpose: {
        batch_id: batch.batchId,
        result_count: batch.resultCount,
        source: plan.source,
        files: plan.files.length,
        joined: !parts
      }
    }
    const forget = Effect.zipRight(
      PartialFiles.forget(layout),
      inflateTo === undefined ? Effect.void : Storage.remove(inflateTo)
    )
    return {
      layout,
      lock: `${place}.lock`,
      sink: RowWriter.of(format, { path: partialOf(beside), columns, spool }),
      makeFolder: Storage.makeFolder(parts ? output : path.dirname(path.resolve(output))),
      prepare: Effect.gen(function* () {
        const entries = yield* Journal.load(layout.journal, layout.purpose)
        for (const target of targets) {
          const own = entries.filter(({ index }) => !parts || target === targets[index])
          const takenUp = !replace && own.length > 0 && (yield* takeUp(target, inflateTo === undefined, own))
          if (!takenUp) yield* Storage.checkDestination(target, { replace })
        }
      }),
      publish: ({ files, sha256 }) =>
        parts
          ? Effect.forEach(
              files,
              (file) =>
                publish(
                  file.path,
                  nameOf(file.path),
                  replace,
                  Option.getOrElse(file.sha256, () => sha256)
                ),
              { discard: true }
            )
          : publish(inflateTo ?? spool, output, replace, sha256),
      publishNothing: Effect.gen(function* () {
        const bytes = parts ? new Uint8Array(0) : RowWriter.nothing(format, columns)
        if (!parts) {
          yield* Storage.writeFile(partialOf(output), bytes)
          yield* Storage.publish({ from: partialOf(output), to: output, replace })
        }
        return bytes
      }),
      nameOf,
      keep: keep([...new Set(plan.files.map(pathOf))]).pipe(Effect.tap(() => Effect.ignore(forget))),
      forget
    }
  })

const partialOf = (path: string): string => `${path}.partial`

const nameOf = (partial: string): string => partial.replace(/\.partial$/u, "")

/**
 * A destination that exists may be what a crashed run published itself. Compressed bytes are, if the journal's cells
 * say so: they get their other name back, and are published again. Decompressed rows are compared when they are here.
 */
const takeUp = (
  target: string,
  compressed: boolean,
  entries: ReadonlyArray<Journal.Entry>
): Effect.Effect<boolean, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const exists = (path: string) => Effect.mapError(fs.exists(path), storageErrorAt(path))
    if (!(yield* exists(target))) return false
    if (!compressed || (yield* exists(partialOf(target)))) return true
    if (!(yield* Journal.isWhole(entries, target))) return false
    yield* Effect.mapError(fs.link(target, partialOf(target)), storageErrorAt(target))
    return true
  })

/** What is at the destination already is left there; if it is the very same, it is published. */
const publish = (
  from: string,
  to: string,
  replace: boolean,
  sha256: string
): Effect.Effect<void, StorageError, Needs> =>
  Storage.publish({ from, to, replace }).pipe(
    Effect.catchIf(
      ({ reason }) => reason === "Exists",
      (error) =>
        Effect.gen(function* () {
          const there = yield* Effect.option(Effect.flatMap(Proof.ofFile(to), (file) => Proof.digest([file])))
          if (!Option.contains(there, sha256)) return yield* error
          yield* Storage.remove(from)
        })
    )
  )

const keep = (
  partials: ReadonlyArray<string>
): Effect.Effect<Option.Option<string>, never, FileSystem.FileSystem> =>
  Effect.map(
    Effect.forEach(partials, (partial) =>
      Effect.option(
        Effect.as(Storage.rename(partial, `${nameOf(partial)}.corrupt`), `${nameOf(partial)}.corrupt`)
      )
    ),
    Option.firstSomeOf
  )
