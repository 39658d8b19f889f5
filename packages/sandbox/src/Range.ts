/**
 * The `Range` header as S3 reads it: one range of bytes, anything else ignored.
 */

/** The first and last byte asked for, or that no byte of the object was asked for. */
export type Range = { readonly start: number; readonly end: number } | "Unsatisfiable"

const form = /^bytes=(\d*)-(\d*)$/

/** The range of an object of `size` bytes that a header asks for; `undefined` when the header is to be ignored. */
export const resolve = (header: string | undefined, size: number): Range | undefined => {
  const [, first, last] = form.exec(header ?? "") ?? []
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined
  if (first === "") {
    const length = Math.min(size, Number(last))
    return length === 0 ? "Unsatisfiable" : { start: size - length, end: size - 1 }
  }
  const start = Number(first)
  if (last !== "" && Number(last) < start) return undefined
  if (start >= size) return "Unsatisfiable"
  return { start, end: last === "" ? size - 1 : Math.min(size - 1, Number(last)) }
}

/** The offset a header starts at, when it names one. */
export const firstByte = (header: string | undefined): number | undefined => {
  const first = form.exec(header ?? "")?.[1]
  return first === undefined || first === "" ? undefined : Number(first)
}
