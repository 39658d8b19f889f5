/**
 * What became of every input row. First the results of each job are read, which says it of each identifier that was sent;
 * then the input is read once more, row by row, and written beside its fates.
 *
 * @example
 * import * as Fates from "./Fates.js"
 *
 * const isWorthwhile = (fate: Fates.Fate) => fate === "not_found" || fate === "failed"
 */
import type { FileSystem, Path } from "@effect/platform"
import { Chunk, Effect, Either, Stream } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import { BatchConfig } from "../model/BatchConfig.js"
import { type InputInvalid, type ResultsCorrupt, StorageError } from "../model/BatchError.js"
import { count, plural } from "../model/CountText.js"
import type { IdentifierProperty, JobKind } from "../model/JobKind.js"
import * as Proof from "../proof/Proof.js"
import * as RecordLines from "../records/RecordLines.js"
import * as Identifier from "./Identifier.js"
import * as InputRows from "./InputRows.js"
import * as Outcomes from "./Outcomes.js"
import * as Planning from "./Planning.js"
import type { Fate } from "./Report.js"

export type { Fate } from "./Report.js"

/** The identifiers of a chunk, in the order in which they were sent, and the number of the first one. */
export interface Sent {
  readonly first: number
  readonly identifiers: ReadonlyArray<string | number>
}

/** Where a record lies. */
export interface Place {
  readonly offset: number
  readonly bytes: number
}

/** What the results say of each identifier. Mutable: it is filled chunk by chunk. */
export interface Roll {
  /** What became of each identifier, by its number; none where it is `failed` or `undecided` as its chunk is. */
  readonly fateOf: (index: number) => Fate
  /** Notes that all identifiers of a chunk have one fate. */
  readonly settle: (sent: { readonly first: number; readonly count: number }, fate: Fate) => void
  /** Notes what a record says; whether it answers an identifier of the chunk. */
  readonly note: (index: number, fate: Fate, place: Place) => void
  /** Where the records of an identifier are: one, for most. */
  readonly placesOf: (index: number) => ReadonlyArray<Place>
}

const codes: ReadonlyArray<Fate> = ["not_found", "matched", "redacted", "failed", "undecided"]

/** Of several records of one input a match counts most, and who opted out stays so. */
const weight = (fate: Fate): number => (fate === "matched" ? 2 : fate === "redacted" ? 1 : 0)

/** A roll of so many identifiers, of which nothing is known. `places`: whether it keeps where records are. */
export const roll = (size: number, { places }: { readonly places: boolean }): Roll => {
  const fates = new Uint8Array(size)
  const offsets = new Float64Array(places ? size : 0).fill(-1)
  const lengths = new Uint32Array(places ? size : 0)
  const more = new Map<number, Array<Place>>()
  return {
    fateOf: (index) => codes[fates[index] ?? 0] ?? "not_found",
    settle: ({ count, first }, fate) => void fates.fill(codes.indexOf(fate), first, first + count),
    note: (index, fate, place) => {
      const before = codes[fates[index] ?? 0] ?? "not_found"
      if (weight(fate) >= weight(before)) fates[index] = codes.indexOf(fate)
      if (!places) return
      if ((offsets[index] ?? -1) >= 0) {
        const others = more.get(index)
        if (others === undefined) more.set(index, [place])
        else others.push(place)
        return
      }
      offsets[index] = place.offset
      lengths[index] = place.bytes
    },
    placesOf: (index) => {
      const offset = offsets[index] ?? -1
      return offset < 0 ? [] : [{ offset, bytes: lengths[index] ?? 0 }, ...(more.get(index) ?? [])]
    }
  }
}

/** What a chunk's results hold. */
export interface Read extends Proof.Rows {
  /** Records that answer none of the identifiers of the chunk. */
  readonly strangers: number
  /** Records that do not say which identifier they answer. */
  readonly anonymous: number
  /** Identifiers that were found. */
  readonly matched: number
}

/**
 * Reads the results of a chunk, proving them on the way, and notes what they say in the roll. With `records`, the
 * decompressed rows go to that file, which holds `at` bytes so far.
 */
export const readResults = (
  path: string,
  options: {
    readonly kind: JobKind
    readonly property: IdentifierProperty
    readonly sent: Sent
    readonly roll: Roll
    readonly records?:
      | { readonly at: number; readonly write: (bytes: Uint8Array) => Effect.Effect<void, StorageError> }
      | undefined
  }
): Effect.Effect<Read, ResultsCorrupt | StorageError, BatchConfig | FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const { kind, property, records, roll, sent } = options
    const framer = RecordLines.framer((yield* BatchConfig).transfer)
    const outcome = Outcomes.reader(kind)
    const exact = new Map(sent.identifiers.map((one, at) => [String(one), at]))
    // Most come back as they were sent.
    let alike: ReadonlyMap<string, number> | undefined
    const placeAlike = (text: string): number | undefined => {
      const keyOf = (one: string | number) => Identifier.keyOf(property.type, String(one))
      alike ??= new Map(sent.identifiers.map((one, at) => [keyOf(one), at]))
      return alike.get(keyOf(text))
    }
    const base = records?.at ?? 0
    let [strangers, anonymous, matched] = [0, 0, 0]
    const take = (found: ReturnType<typeof framer.push>): void => {
      for (const line of found) {
        if (Either.isLeft(line)) continue
        const read = Either.getOrUndefined(outcome(line.right))
        const text = read?.identifier
        if (read === undefined || text === undefined) {
          anonymous += 1
          continue
        }
        const at = exact.get(text) ?? placeAlike(text)
        if (at === undefined) {
          strangers += 1
          continue
        }
        if (read.fate === "matched" && roll.fateOf(sent.first + at) !== "matched") matched += 1
        const { bytes, offset } = line.right
        roll.note(sent.first + at, read.fate, { offset: base + offset, bytes: bytes.length })
      }
    }
    const rows = yield* Effect.scoped(
      Effect.gen(function* () {
        const file = yield* GrowingFile.ofFile(path)
        return yield* Proof.rows({
          file,
          name: path,
          mayBeEmpty: true,
          onInflated: (chunks) =>
            Effect.forEach(
              chunks,
              (chunk) => {
                const kept = records === undefined ? Effect.void : records.write(chunk)
                return Effect.zipRight(
                  kept,
                  Effect.sync(() => take(framer.push(chunk)))
                )
              },
              { discard: true }
            )
        })
      })
    )
    take(framer.end())
    return { ...rows, strangers, anonymous, matched }
  })

/** One input row and what became of it. */
export interface RowFate {
  readonly row: number
  /** The identifier as it is written in the input. */
  readonly identifier: string
  readonly fate: Fate
  /** Why it was rejected, or its job failed; empty otherwise. */
  readonly reason: string
  /** The number of its identifier; of a duplicate that of the row that it means the same as; none if it was rejected. */
  readonly index: number | undefined
  /** The row that it means the same as. */
  readonly duplicateOf: number | undefined
  /** The row as it was read, by its own columns. */
  readonly input: Pick<InputRows.Row, "cells" | "columns">
}

/** How to read the input again. */
export interface RowsOptions extends InputRows.Options {
  readonly input: string
  readonly folder: string
  readonly property: IdentifierProperty
  readonly roll: Roll
  /** Rows of the plan: as many must come. */
  readonly count: number
  /** Why the identifiers of a chunk have the fate they have. */
  readonly reasonOf: (index: number) => string
}

/** The rows of the input with what became of them, in its order: as many as were planned, or it fails. */
export const rows = (
  options: RowsOptions
): Stream.Stream<RowFate, InputInvalid | StorageError, BatchConfig | FileSystem.FileSystem | Path.Path> => {
  const { property, reasonOf, roll } = options
  const fateOf = (row: InputRows.Row, codes: Int32Array): RowFate => {
    const decoded = Planning.decode(codes[row.row - 1] ?? Planning.rejected)
    const written = Either.getOrElse(row.value, () => "")
    const common = {
      row: row.row,
      identifier: written,
      input: row,
      reason: "",
      index: undefined,
      duplicateOf: undefined
    }
    switch (decoded._tag) {
      case "Rejected": {
        const read = Either.flatMap(row.value, (text) => Identifier.read(property.type, text))
        return { ...common, fate: "rejected", reason: Either.isLeft(read) ? read.left : "" }
      }
      case "Duplicate": {
        return { ...common, fate: "duplicate", duplicateOf: decoded.of, index: codes[decoded.of - 1] }
      }
      case "Identifier": {
        const { index } = decoded
        const fate = roll.fateOf(index)
        return {
          ...common,
          fate,
          index,
          reason: fate === "failed" || fate === "undecided" ? reasonOf(index) : ""
        }
      }
    }
  }
  return Stream.unwrap(
    Effect.map(Planning.codesOf(options.folder), (codes) => {
      let read = 0
      const complete = Effect.suspend(() => {
        const left = Math.min(read, codes.length)
        if (left === options.count) return Effect.void
        return new StorageError({
          reason: "Unreadable",
          path: options.folder,
          detail: `of ${plural(options.count, "row")} of ${options.name ?? options.input} there are only ${count(left)} left: its copy or its plan was changed`
        })
      })
      return InputRows.read(options.input, options).pipe(
        Stream.mapChunks((portion) => {
          read += portion.length
          return Chunk.map(portion, (row) => fateOf(row, codes))
        }),
        Stream.concat(Stream.drain(Stream.fromEffect(complete)))
      )
    })
  )
}

/** A row of CSV after RFC 4180, as it is: what people gave is given back unchanged. */
export const csvLine = (cells: ReadonlyArray<string>): string =>
  `${cells.map((cell) => (/[",\r\n]/u.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\r\n`
