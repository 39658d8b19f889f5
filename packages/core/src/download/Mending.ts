/**
 * What the bytes of a result still need, once they are here and proven, to be one sound gzip file: parts without a last
 * line feed are joined with one, zeros behind a part that another one follows are left out, and plain JSON lines are
 * compressed. Seldom needed; then the file is written once more, beside itself.
 *
 * @example
 * import type { FileSystem } from "@effect/platform"
 * import { Effect } from "effect"
 * import type { StorageError } from "../model/BatchError.js"
 * import * as Mending from "./Mending.js"
 *
 * const size = (pieces: ReadonlyArray<Mending.Piece>): Effect.Effect<number, StorageError, FileSystem.FileSystem> =>
 *   Mending.isNeeded(pieces)
 *     ? Effect.map(Mending.mend("rows.jsonl.gz.partial", pieces), ({ bytes }) => bytes)
 *     : Effect.succeed(0)
 */
import type { FileSystem } from "@effect/platform"
import { Effect } from "effect"
import * as GrowingFile from "../disk/GrowingFile.js"
import * as Storage from "../disk/Storage.js"
import type { StorageError } from "../model/BatchError.js"
import * as Compression from "../proof/Compression.js"
import * as Gunzip from "../proof/Gunzip.js"
import type { Rows } from "../proof/Proof.js"
import * as RowWriter from "./RowWriter.js"

/** A delivered file, or its run of bytes in one where it is joined to others. */
export interface Piece extends Pick<Rows, "isPlain" | "padding" | "unterminated"> {
  readonly growing: GrowingFile.GrowingFile
  readonly bytes: number
}

/** Whether pieces that follow each other in one file are no sound gzip file of lines as they are. */
export const isNeeded = (pieces: ReadonlyArray<Piece>): boolean =>
  pieces.some(
    ({ isPlain, padding, unterminated }, index) =>
      isPlain || (index + 1 < pieces.length && (padding > 0 || unterminated))
  )

/** Where the mended file grows before it takes the place of the one at `path`. */
export const besideOf = (path: string): string => `${path}.mended`

/** Writes the pieces of the file at `path` anew, in their order, in its place. */
export const mend = (
  path: string,
  pieces: ReadonlyArray<Piece>
): Effect.Effect<RowWriter.Written, StorageError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const out = yield* RowWriter.file(besideOf(path))
    for (const [index, piece] of pieces.entries()) {
      const isLast = index + 1 === pieces.length
      yield* piece.isPlain
        ? compressed(piece, out.write)
        : copied(piece, piece.bytes - (isLast ? 0 : piece.padding), out.write)
      if (piece.unterminated && !isLast) yield* out.write([Gunzip.lineFeedMember])
    }
    const written = yield* out.end
    yield* Storage.rename(besideOf(path), path)
    return written
  }).pipe(Effect.scoped)

type Write = RowWriter.FileWriter["write"]

const compressed = ({ growing }: Piece, write: Write) =>
  Effect.gen(function* () {
    const member = yield* Compression.make(write)
    yield* GrowingFile.follow(growing, member.push)
    yield* member.end
  }).pipe(Effect.scoped)

const copied = ({ growing }: Piece, bytes: number, write: Write) => {
  let left = bytes
  return GrowingFile.follow(growing, (slice) => {
    const part = slice.subarray(0, left)
    left -= part.length
    return part.length === 0 ? Effect.void : write([part])
  })
}
