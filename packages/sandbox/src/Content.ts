/**
 * What an answer carries or an object holds: bytes in memory and stretches of files, joined, never read whole.
 */
import { Effect } from "effect"
import { createReadStream } from "node:fs"
import { Readable } from "node:stream"

/** A segment of bytes in memory. */
export interface Bytes {
  readonly _tag: "Bytes"
  readonly bytes: Uint8Array
  readonly length: number
}

/** A segment of `length` bytes of the file at `path`, from `start`. */
export interface FileStretch {
  readonly _tag: "FileStretch"
  readonly path: string
  readonly start: number
  readonly length: number
}

/** A sequence of segments and its length in bytes. */
export interface Content {
  readonly segments: ReadonlyArray<Bytes | FileStretch>
  readonly size: number
}

const readSize = 256 * 1024

/** Content without a byte. */
export const empty: Content = { segments: [], size: 0 }

/** Content held in memory. */
export const bytes = (value: Uint8Array): Content => ({
  segments: [{ _tag: "Bytes", bytes: value, length: value.length }],
  size: value.length
})

/** UTF-8 text. */
export const text = (value: string): Content => bytes(Buffer.from(value))

/** A stretch of a file. */
export const file = (path: string, start: number, length: number): Content => ({
  segments: [{ _tag: "FileStretch", path, start, length }],
  size: length
})

/** Contents one after the other; neighbouring stretches of one file become one. */
export const concat = (parts: Iterable<Content>): Content => {
  const segments: Array<Bytes | FileStretch> = []
  let size = 0
  for (const part of parts) {
    size += part.size
    for (const segment of part.segments) {
      const last = segments.at(-1)
      if (last !== undefined && continues(last, segment)) {
        segments[segments.length - 1] = { ...last, length: last.length + segment.length }
      } else if (segment.length > 0) {
        segments.push(segment)
      }
    }
  }
  return { segments, size }
}

/** The bytes from `start`, at most `length` of them. */
export const slice = (content: Content, start: number, length = Infinity): Content => {
  const end = Math.min(content.size, start + length)
  const parts: Array<Content> = []
  let at = 0
  for (const segment of content.segments) {
    const from = Math.max(start, at)
    const to = Math.min(end, at + segment.length)
    if (from < to) parts.push(cut(segment, from - at, to - from))
    at += segment.length
  }
  return concat(parts)
}

/** A unit again and again, `length` bytes in all. */
export const repeated = (unit: Uint8Array, length: number): Content => {
  const block = bytes(Buffer.alloc(Math.min(length, readSize), unit))
  const blocks = block.size === 0 ? 0 : Math.ceil(length / block.size)
  return slice(concat(Array.from({ length: blocks }, () => block)), 0, length)
}

/** All the bytes at once: for contents known to be small. */
export const read = (content: Content): Effect.Effect<Uint8Array> =>
  Effect.promise(async () => Buffer.concat(await stream(content).toArray()))

/** The bytes as a Node stream. */
export const stream = (content: Content): Readable => Readable.from(chunks(content), { objectMode: false })

async function* chunks(content: Content): AsyncGenerator<Uint8Array> {
  for (const segment of content.segments) {
    if (segment._tag === "Bytes") yield segment.bytes
    else {
      const { length, path, start } = segment
      yield* createReadStream(path, { start, end: start + length - 1, highWaterMark: readSize })
    }
  }
}

const continues = (last: Bytes | FileStretch, next: Bytes | FileStretch): last is FileStretch =>
  last._tag === "FileStretch" &&
  next._tag === "FileStretch" &&
  last.path === next.path &&
  last.start + last.length === next.start

const cut = (segment: Bytes | FileStretch, start: number, length: number): Content =>
  segment._tag === "Bytes"
    ? bytes(segment.bytes.subarray(start, start + length))
    : file(segment.path, segment.start + start, length)
