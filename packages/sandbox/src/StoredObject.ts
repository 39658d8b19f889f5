/**
 * The objects on storage: `merged.jsonl.gz` and `part-000.jsonl.gz` … of a job, laid out from its spool.
 */
import { Array } from "effect"
import * as Content from "./Content.js"
import * as Crc32 from "./Crc32.js"
import * as Seed from "./Seed.js"
import type { Spool, Stretch } from "./Spool.js"

/** An object: its bytes and the version they are. */
export interface StoredObject {
  readonly content: Content.Content
  /** Strong and quoted; of the form S3 gives to multipart uploads, so no MD5. */
  readonly etag: string
}

/** The name of the merged file. */
export const mergedName = "merged.jsonl.gz"

/** The name of a part file. */
export const partName = (part: number): string => `part-${String(part).padStart(3, "0")}.jsonl.gz`

/**
 * An object of a spool by name, if there is one. Version 0 has the lines in order; each later one is of equal size with the stretches of
 * every member turned by one, and another time in its headers.
 */
export const find = (spool: Spool, name: string, version: number): StoredObject | undefined => {
  const members = membersOf(spool, name)
  if (members.length === 0) return undefined
  const laidOut = members.map((stretches) => turn(stretches, version))
  return {
    content: Content.concat(laidOut.map((stretches) => member(stretches, version))),
    etag: etag(laidOut, version)
  }
}

const membersOf = (spool: Spool, name: string): ReadonlyArray<ReadonlyArray<Stretch>> => {
  if (name === mergedName) {
    return Array.isNonEmptyReadonlyArray(spool.stretches)
      ? Array.groupWith(spool.stretches, (a, b) => a.member === b.member)
      : []
  }
  const part = /^part-(\d{3,4})\.jsonl\.gz$/.exec(name)?.[1]
  const stretches = spool.stretches.filter((stretch) => stretch.part === Number(part))
  return part === undefined || stretches.length === 0 ? [] : [stretches]
}

const turn = <A>(items: ReadonlyArray<A>, by: number): ReadonlyArray<A> => {
  const at = by % items.length
  return [...items.slice(at), ...items.slice(0, at)]
}

const member = (stretches: ReadonlyArray<Stretch>, version: number): Content.Content => {
  const { crc, length } = stretches.map(({ checksum }) => checksum).reduce(Crc32.combine, Crc32.empty)
  return Content.concat([header(version), ...stretches.map(({ content }) => content), ending(crc, length)])
}

const header = (version: number): Content.Content => {
  const bytes = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3])
  bytes.writeUInt32LE(version, 4)
  return Content.bytes(bytes)
}

/** An empty final block, the CRC and the length modulo 2³². */
const ending = (crc: number, length: number): Content.Content => {
  const bytes = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  bytes.writeUInt32LE(crc, 2)
  bytes.writeUInt32LE(length % 2 ** 32, 6)
  return Content.bytes(bytes)
}

const etag = (members: ReadonlyArray<ReadonlyArray<Stretch>>, version: number): string => {
  const checksums = members.flatMap((stretches) => stretches.map(({ checksum }) => checksum.crc))
  return `"${Seed.hex(32, version, ...checksums)}-${checksums.length}"`
}
