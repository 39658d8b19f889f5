/**
 * The results of a job on disk, deflated once. Stretches of lines are deflated on their own and end on a byte, so that the merged
 * file and every part file, in any number of gzip members, are made of the same bytes on disk: a member is a header, stretches, an empty
 * final block and the trailer.
 */
import { Chunk, Effect, Stream } from "effect"
import { open } from "node:fs/promises"
import { constants, crc32, deflateRaw } from "node:zlib"
import * as Content from "./Content.js"
import * as Crc32 from "./Crc32.js"
import type * as Job from "./Job.js"
import type { Line } from "./Records.js"
import { type SandboxError, spooling } from "./SandboxError.js"

/** Deflated lines of one part and one member. */
export interface Stretch {
  readonly part: number
  readonly member: number
  readonly content: Content.Content
  readonly checksum: Crc32.Checksum
}

/** A result on disk: its stretches in the order of the lines, and the size of all lines in bytes. */
export interface Spool {
  readonly stretches: ReadonlyArray<Stretch>
  readonly jsonBytes: number
}

/** Lines that are deflated together. */
interface Run {
  readonly from: number
  readonly to: number
  readonly part: number
  readonly member: number
}

interface Deflated extends Run {
  readonly bytes: Uint8Array
  readonly checksum: Crc32.Checksum
}

const stretchBytes = 1024 * 1024

/** Write the results of a job to a file. `progress` hears how many lines are there. */
export const write = (
  path: string,
  job: Job.Job,
  line: (index: number) => Line,
  progress: (lines: number) => void
): Effect.Effect<Spool, SandboxError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* Effect.acquireRelease(
        spooling(() => open(path, "w")),
        (handle) => Effect.promise(() => handle.close())
      )
      let offset = 0
      let jsonBytes = 0
      const append = ({ bytes, checksum, member, part, to }: Deflated) =>
        spooling(() => file.writeFile(bytes)).pipe(
          Effect.map((): Stretch => {
            const content = Content.file(path, offset, bytes.length)
            offset += bytes.length
            jsonBytes += checksum.length
            progress(to)
            return { part, member, content, checksum }
          })
        )
      const stretches = yield* Stream.fromIteratorSucceed(gather(job, line), 1).pipe(
        Stream.mapEffect(({ raw, run }) => deflate(raw, run), { concurrency: 2 }),
        Stream.mapEffect(append),
        Stream.runCollect
      )
      return { stretches: Chunk.toReadonlyArray(stretches), jsonBytes }
    })
  )

/** Raw lines, about a mebibyte at a time, never across the border of a part or member, at least two to each. */
function* gather(job: Job.Job, line: (index: number) => Line): Generator<{ run: Run; raw: Buffer }> {
  for (const run of runs(job)) {
    let from = run.from
    let size = 0
    let pieces: Array<Uint8Array> = []
    for (let index = run.from; index < run.to; index++) {
      const [head, tail] = line(index)
      pieces.push(head, tail)
      size += head.length + tail.length
      if (size >= stretchBytes || index + 1 === run.to) {
        yield { run: { ...run, from, to: index + 1 }, raw: Buffer.concat(pieces, size) }
        from = index + 1
        size = 0
        pieces = []
      }
    }
  }
}

/** Between neighbouring borders of parts and members; each is halved, so that an object can be laid out in another order. */
const runs = (job: Job.Job): ReadonlyArray<Run> => {
  const parts = borders(job.records, job.parts)
  const members = borders(job.records, job.members)
  const coarse = [...new Set([...parts, ...members])].toSorted((a, b) => a - b)
  const fine = coarse.flatMap((border, index) => {
    const next = coarse[index + 1] ?? border
    const middle = Math.ceil((border + next) / 2)
    return middle > border && middle < next ? [border, middle] : [border]
  })
  return fine.slice(0, -1).map((from, index) => ({
    from,
    to: fine[index + 1] ?? from,
    part: containing(parts, from),
    member: containing(members, from)
  }))
}

const borders = (records: number, pieces: number): ReadonlyArray<number> =>
  Array.from({ length: pieces + 1 }, (_, index) => Math.floor((index * records) / Math.max(1, pieces)))

/** Found from the even spacing, then set right by one at most. */
const containing = (all: ReadonlyArray<number>, line: number): number => {
  const guess = Math.floor((line * (all.length - 1)) / Math.max(1, all.at(-1) ?? 1))
  return (all[guess + 1] ?? Infinity) <= line ? guess + 1 : guess
}

const deflate = (raw: Buffer, run: Run): Effect.Effect<Deflated> =>
  Effect.async((resume) => {
    deflateRaw(raw, { level: 1, finishFlush: constants.Z_FULL_FLUSH }, (error, bytes) => {
      resume(
        error === null
          ? Effect.succeed({ ...run, bytes, checksum: { crc: crc32(raw), length: raw.length } })
          : Effect.die(error)
      )
    })
  })
