/**
 * Where an object or a list of JSON (RFC 8259) ends, in UTF-8: found by an automaton that takes one look-up for a byte, and
 * that needs no calls to itself however deep the values are nested.
 *
 * @example
 * import * as JsonNesting from "./JsonNesting.js"
 *
 * const end = JsonNesting.reader({ deepest: 10 })
 * const bytes = new TextEncoder().encode('{"a":[1,{}]},')
 * end(bytes, 0, 0) // 12
 */
import { closeBrace, closeBracket, isPlain, nowhere, openBrace, spaceEnd } from "./JsonTokens.js"

/** The end of what is nested deeper than is read. */
export const tooDeep = -1

/**
 * The position behind the object or the list that begins at a place, within so many others: `nowhere` if it is no JSON,
 * `tooDeep` if a value in it is within more than `deepest` ones.
 */
export type Reader = (bytes: Uint8Array, from: number, depth: number) => number

/** Makes a reader, which uses the same memory each time. */
export const reader = ({ deepest }: { readonly deepest: number }): Reader => {
  // As constants of this function they are constants of the machine code, whatever a bundler makes of those of a module.
  const { behind, inList, inObject, lastText, listBegun, objectBegun, valueDue } = automaton()
  const plain = isPlain
  /** Which of the values that are open are objects, by how many others they are within; the others are lists. */
  const areObjects = new Uint8Array(deepest + 1)

  return (bytes, from, outermost) => {
    const { length } = bytes
    let at = from
    let depth = outermost
    let state = valueDue
    while (at < length) {
      state = behind[state + (bytes[at] ?? 0)] ?? fault
      at += 1
      if (state <= lastText) {
        while (at < length && plain[bytes[at] ?? 0] === 1) at += 1
      } else if (state >= closes) {
        if (state === fault) return nowhere
        if (state === closes) {
          depth -= 1
          if (depth === outermost) return at
          state = areObjects[depth - 1] === 1 ? inObject : inList
        } else {
          const isObject = bytes[at - 1] === openBrace
          areObjects[depth] = isObject ? 1 : 0
          depth += 1
          state = isObject ? objectBegun : listBegun
          if (depth > deepest && bytes[spaceEnd(bytes, at)] !== (isObject ? closeBrace : closeBracket))
            return tooDeep
        }
      }
    }
    return nowhere
  }
}

/** In place of a state: no JSON. */
const fault = 0xff_ff
/** In place of a state: an object or a list begins. */
const opens = 0xff_fe
/** In place of a state: the object or the list ends, the least of what is no state. */
const closes = 0xff_fd

/** What may follow what: the states are multiples of 256, so that a state and a byte add up to a place in the table. */
const automaton = () => {
  const names: Array<string> = []
  const edges: Array<readonly [place: number, to: number]> = []

  /** The state with this name, which there is from its first mention on. */
  const stateOf = (name: string): number => {
    if (!names.includes(name)) names.push(name)
    return names.indexOf(name) * 256
  }

  /** Each of these bytes leads from one state to another one, or to what is none. */
  const on = (from: string, signs: Iterable<string>, to: string | number): void => {
    const next = typeof to === "number" ? to : stateOf(to)
    for (const sign of signs) edges.push([stateOf(from) + sign.charCodeAt(0), next])
  }

  /** A text behind its first quote, and what comes behind its last one. */
  const text = (name: string, ended: string): void => {
    const plainSigns = Array.from(isPlain, (is, byte) => (is === 1 ? String.fromCharCode(byte) : ""))
    on(
      name,
      plainSigns.filter((sign) => sign !== ""),
      name
    )
    on(name, '"', ended)
    on(name, "\\", `${name} \\`)
    on(`${name} \\`, '"\\/bfnrt', name)
    on(`${name} \\`, "u", `${name} \\u`)
    const hexadecimal = `${digits}abcdefABCDEF`
    on(`${name} \\u`, hexadecimal, `${name} \\u0`)
    on(`${name} \\u0`, hexadecimal, `${name} \\u00`)
    on(`${name} \\u00`, hexadecimal, `${name} \\u000`)
    on(`${name} \\u000`, hexadecimal, name)
  }

  /** A value of an object or of a list, from where it may begin. */
  const value = (from: string, of: string): void => {
    on(from, space, from)
    on(from, "{[", opens)
    on(from, '"', `${of} text`)
    on(from, "-", `${of} -`)
    on(from, "0", `${of} 0`)
    on(from, "123456789", `${of} 1`)
    for (const word of words) on(from, word.slice(0, 1), `${of} ${word.slice(0, 1)}`)
  }

  /** The values of an object or of a list, and what may come behind one of them. */
  const values = (of: string, close: string, following: string): void => {
    const ended = `${of} value ended`
    text(`${of} text`, ended)
    for (const word of words) {
      for (let read = 1; read < word.length; read++) {
        const next = read + 1 < word.length ? `${of} ${word.slice(0, read + 1)}` : ended
        on(`${of} ${word.slice(0, read)}`, word.slice(read, read + 1), next)
      }
    }
    on(`${of} -`, "0", `${of} 0`)
    on(`${of} -`, "123456789", `${of} 1`)
    on(`${of} 1`, digits, `${of} 1`)
    for (const whole of [`${of} 0`, `${of} 1`]) on(whole, ".", `${of} 1.`)
    for (const fraction of [`${of} 1.`, `${of} 1.0`]) on(fraction, digits, `${of} 1.0`)
    for (const mantissa of [`${of} 0`, `${of} 1`, `${of} 1.0`]) on(mantissa, "eE", `${of} 1e`)
    on(`${of} 1e`, "+-", `${of} 1e+`)
    for (const exponent of [`${of} 1e`, `${of} 1e+`, `${of} 1e0`]) on(exponent, digits, `${of} 1e0`)
    for (const end of [ended, `${of} 0`, `${of} 1`, `${of} 1.0`, `${of} 1e0`]) {
      on(end, space, ended)
      on(end, ",", following)
      on(end, close, closes)
    }
  }

  // Texts come first, so that one comparison tells whether a state is within one.
  for (const name of ["a name's text", "an object's text", "a list's text"]) stateOf(name)
  const lastText = stateOf("a list's text")
  for (const place of ["an object begun", "an object's next name"]) {
    on(place, space, place)
    on(place, '"', "a name's text")
  }
  on("an object begun", "}", closes)
  text("a name's text", "a name")
  on("a name", space, "a name")
  on("a name", ":", "an object's value due")
  value("an object's value due", "an object's")
  values("an object's", "}", "an object's next name")
  on("a list begun", "]", closes)
  value("a list begun", "a list's")
  value("a list's value due", "a list's")
  values("a list's", "]", "a list's value due")

  const behind = new Uint16Array(names.length * 256).fill(fault)
  for (const [place, to] of edges) behind[place] = to
  return {
    behind,
    lastText,
    valueDue: stateOf("a list's value due"),
    objectBegun: stateOf("an object begun"),
    inObject: stateOf("an object's value ended"),
    listBegun: stateOf("a list begun"),
    inList: stateOf("a list's value ended")
  }
}

const space = " \t\r\n"
const digits = "0123456789"
const words = ["true", "false", "null"]
