/**
 * Where the members of a gzip file end that is all in memory: a slow second look, for a message about one that is not
 * sound.
 *
 * @example
 * import * as Gunzip from "./Gunzip.js"
 * import * as Members from "./Members.js"
 *
 * Members.endOf(Uint8Array.from([...Gunzip.emptyMember, 1, 2, 3])) // 20
 */
import { Predicate } from "effect"
import { inflateRawSync } from "node:zlib"

/** Inflated bytes beyond which it is not worth the memory. */
const most = 67_108_864

/** Whether bytes may be the beginning of a member. */
export const mayBegin = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x1f && (bytes.length < 2 || bytes[1] === 0x8b)

/** The position behind the last member that follows on the beginning without a gap; 0 if there is none. */
export const endOf = (bytes: Uint8Array): number => {
  let end = 0
  while (end < bytes.length) {
    const next = memberEnd(bytes, end)
    if (next === undefined || next > bytes.length) return end
    end = next
  }
  return end
}

const memberEnd = (bytes: Uint8Array, from: number): number | undefined => {
  const data = headerEnd(bytes, from)
  if (data === undefined) return undefined
  try {
    const found: unknown = inflateRawSync(bytes.subarray(data), { info: true, maxOutputLength: most })
    if (!Predicate.hasProperty(found, "engine") || !Predicate.hasProperty(found.engine, "bytesWritten")) {
      return undefined
    }
    return data + Number(found.engine.bytesWritten) + trailerBytes
  } catch {
    return undefined
  }
}

const trailerBytes = 8

/** Behind a header and its optional fields (RFC 1952, 2.3). */
const headerEnd = (bytes: Uint8Array, from: number): number | undefined => {
  const flags = bytes[from + 3] ?? 0
  if (!mayBegin(bytes.subarray(from)) || bytes[from + 2] !== 8) return undefined
  let at = from + 10
  if ((flags & 4) > 0) at += 2 + (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0)
  if ((flags & 8) > 0) at = bytes.indexOf(0, at) + 1
  if ((flags & 16) > 0) at = bytes.indexOf(0, at) + 1
  if ((flags & 2) > 0) at += 2
  return at > from && at <= bytes.length ? at : undefined
}
