/**
 * The tokens of JSON (RFC 8259) in UTF-8: where each of them ends. What is no such token ends at `nowhere`, which is
 * behind all bytes: whoever goes on from there finds nothing, and so no token either.
 *
 * @example
 * import * as JsonTokens from "./JsonTokens.js"
 *
 * const bytes = new TextEncoder().encode('"a\\n", -1.5e3')
 * JsonTokens.stringEnd(bytes, 0) // 5
 * JsonTokens.numberEnd(bytes, JsonTokens.spaceEnd(bytes, 6)) // 13
 */

/** The end of what is no such token: longer than any text can be, and still what V8 takes for a small integer. */
export const nowhere = 2 ** 30 - 1

/** `"` */
export const quote = 0x22
/** `,` */
export const comma = 0x2c
/** `:` */
export const colon = 0x3a
/** `\` */
export const backslash = 0x5c
/** `{` */
export const openBrace = 0x7b
/** `}` */
export const closeBrace = 0x7d
/** `[` */
export const openBracket = 0x5b
/** `]` */
export const closeBracket = 0x5d

/** The position behind the white space from here on. */
export const spaceEnd = (bytes: Uint8Array, from: number): number => {
  const { length } = bytes
  let at = from
  while (at < length && (bytes[at] ?? 0) <= 0x20 && isSpace(bytes[at])) at += 1
  return at
}

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d

/** The position behind the closing quote of the string that begins here. */
export const stringEnd = (bytes: Uint8Array, from: number): number => {
  const { length } = bytes
  if (from >= length || bytes[from] !== quote) return nowhere
  let at = from + 1
  while (at < length) {
    const byte = bytes[at] ?? 0
    if (isPlain[byte] === 1) at += 1
    else if (byte === quote) return at + 1
    else if (byte === backslash) at = escapeEnd(bytes, at)
    else return nowhere
  }
  return nowhere
}

/** Which bytes mean nothing but themselves in a string. */
export const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x20 || byte === quote || byte === backslash ? 0 : 1
)

const escapeEnd = (bytes: Uint8Array, from: number): number => {
  const letter = String.fromCharCode(bytes[from + 1] ?? 0)
  if (`"\\/bfnrt`.includes(letter)) return from + 2
  const digits = String.fromCharCode(...bytes.subarray(from + 2, from + 6))
  return letter === "u" && /^[\da-f]{4}$/iu.test(digits) ? from + 6 : nowhere
}

/** The position behind the number that begins here. */
export const numberEnd = (bytes: Uint8Array, from: number): number => {
  const first = bytes[from] === minus ? from + 1 : from
  let at = bytes[first] === zero ? first + 1 : digitsEnd(bytes, first)
  if (bytes[at] === 0x2e) at = digitsEnd(bytes, at + 1)
  if (bytes[at] !== 0x65 && bytes[at] !== 0x45) return at
  const isSigned = bytes[at + 1] === minus || bytes[at + 1] === 0x2b
  return digitsEnd(bytes, at + (isSigned ? 2 : 1))
}

const digitsEnd = (bytes: Uint8Array, from: number): number => {
  let at = from
  while (isDigit(bytes[at])) at += 1
  return at === from ? nowhere : at
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= zero && byte <= 0x39

/** The position behind the `true`, `false` or `null` that begins here. */
export const wordEnd = (bytes: Uint8Array, from: number): number => {
  const first = bytes[from]
  const word = first === 0x74 ? words.true : first === 0x66 ? words.false : words.null
  for (let at = 0; at < word.length; at++) if (word[at] !== bytes[from + at]) return nowhere
  return from + word.length
}

const encoder = new TextEncoder()
const words = { true: encoder.encode("true"), false: encoder.encode("false"), null: encoder.encode("null") }

/** A text without what a table cannot hold: U+FFFD stands for NUL, and for half of a pair of surrogates. */
export const representable = (text: string): string =>
  // eslint-disable-next-line no-control-regex
  text.replace(/\u0000|\p{Surrogate}/gu, "\u{fffd}")

const minus = 0x2d
const zero = 0x30
