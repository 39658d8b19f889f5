/**
 * Where the fields of a record lie in its text: found by a reader that builds nothing, so that a value can be
 * written as it was delivered, a number with all its digits. Mutable and synchronous: it is asked for every record.
 *
 * @example
 * import * as JsonFields from "./JsonFields.js"
 *
 * const fields = JsonFields.learning()
 * JsonFields.read(fields, new TextEncoder().encode('{"id":7,"data":{"name":"Acme","tags":[]}}'))
 * fields.columns.map(({ path }) => path.join()) // ["id", "data,name", "data,tags"]
 */
import * as JsonNesting from "./JsonNesting.js"
import {
  closeBrace,
  colon,
  comma,
  nowhere,
  numberEnd,
  openBrace,
  openBracket,
  quote,
  representable,
  spaceEnd,
  stringEnd,
  wordEnd
} from "./JsonTokens.js"

/** One field of the records. */
export interface Field {
  readonly path: ReadonlyArray<string>
  /** Its place among the fields of the same object. */
  readonly index: number
  /** Its name as it is mostly written, between the quotes. */
  readonly key: Uint8Array
  readonly byName: Map<string, Field>
  readonly inOrder: Array<Field>
  /** Which of these is expected next. */
  next: number
  /** The last record that has the name, counted from 1; 0 if none has it. */
  met: number
  /** Whether it is one of the columns, if these are learnt. */
  listed: boolean
  /** The last record that has a value here, and where this value lies in it. */
  record: number
  from: number
  to: number
}

/** The fields to look for in one record after the other, and where the last record has its values. */
export interface Fields {
  readonly root: Field
  /** The fields that are asked for; or all that have had a value, in the order of their appearance. */
  readonly columns: Array<Field>
  readonly learns: boolean
  /** How many records were read. */
  records: number
  /** Whether the last record has a name twice in one object. */
  repeats: boolean
  /** Whether the last record is nested deeper than is read. */
  isTooDeep: boolean
}

/** What a text turned out to be. */
export type Outcome = "Record" | "NoObject" | "TooDeep"

/** Fields that are learnt from the records: every one that has a value in any of them. */
export const learning = (): Fields => ({ ...none, root: make([], 0), columns: [], learns: true })

const none = { records: 0, repeats: false, isTooDeep: false }

/** The fields with these paths, and no others. */
export const named = (paths: ReadonlyArray<ReadonlyArray<string>>): Fields => {
  const root = make([], 0)
  const fieldAt = (path: ReadonlyArray<string>) =>
    path.map(representable).reduce((parent, name) => parent.byName.get(name) ?? add(parent, name), root)
  return { ...none, root, columns: paths.map(fieldAt), learns: false }
}

const make = (path: ReadonlyArray<string>, index: number): Field => ({
  path,
  index,
  key: encoder.encode(JSON.stringify(path.at(-1) ?? "").slice(1, -1)),
  byName: new Map(),
  inOrder: [],
  next: 0,
  met: 0,
  listed: false,
  record: 0,
  from: 0,
  to: 0
})

const add = (parent: Field, name: string): Field => {
  const field = make([...parent.path, name], parent.inOrder.length)
  parent.byName.set(name, field)
  parent.inOrder.push(field)
  return field
}

/** The deepest nesting that is read, in objects and lists. */
export const deepest = 1000

/**
 * Reads a record, and notes where its values lie; says so if the bytes are no JSON object, or one that is nested beyond
 * reason. An object is a value only if it is empty, or if none of its own fields is asked for. Of a name that comes
 * twice the last value counts, and nothing below the earlier one.
 */
export const read = (fields: Fields, bytes: Uint8Array): Outcome => {
  const known = fields.columns.length
  fields.records += 1
  fields.repeats = false
  fields.isTooDeep = false
  const from = spaceEnd(bytes, 0)
  if (bytes[from] !== openBrace) return "NoObject"
  const isObject = spaceEnd(bytes, objectEnd(fields, fields.root, bytes, from, 0)) === bytes.length
  if (fields.isTooDeep) return "TooDeep"
  if (fields.repeats && fields.learns) unlist(fields, known)
  return isObject ? "Record" : "NoObject"
}

/** Takes those columns out again that the last record has brought, and of which it has no value in the end. */
const unlist = (fields: Fields, known: number): void => {
  for (const field of fields.columns.splice(known)) {
    field.listed = field.record === fields.records
    if (field.listed) fields.columns.push(field)
  }
}

/** The position behind the object that begins here, some of whose fields may be asked for. */
const objectEnd = (fields: Fields, parent: Field, bytes: Uint8Array, from: number, depth: number): number => {
  let at = spaceEnd(bytes, from + 1)
  if (bytes[at] === closeBrace) return at + 1
  parent.next = 0
  while (true) {
    const end = stringEnd(bytes, at)
    const between = spaceEnd(bytes, end)
    if (bytes[between] !== colon) return nowhere
    const field = find(fields, parent, bytes, at, end)
    if (field !== undefined) meet(fields, field)
    at = spaceEnd(bytes, valueEnd(fields, field, bytes, spaceEnd(bytes, between + 1), depth + 1))
    if (bytes[at] === closeBrace) return at + 1
    if (bytes[at] !== comma) return nowhere
    at = spaceEnd(bytes, at + 1)
  }
}

const meet = (fields: Fields, field: Field): void => {
  if (field.met === fields.records) {
    fields.repeats = true
    forget(fields, field)
  }
  field.met = fields.records
}

/** Takes the value away that a field has in this record, and all below it. */
const forget = (fields: Fields, field: Field): void => {
  if (field.met !== fields.records) return
  field.met = superseded
  field.record = superseded
  for (const below of field.inOrder) forget(fields, below)
}

/** No record has this number. */
const superseded = -1

const valueEnd = (
  fields: Fields,
  field: Field | undefined,
  bytes: Uint8Array,
  from: number,
  depth: number
): number => {
  if (field === undefined) return skip(fields, bytes, from, depth)
  if (depth <= deepest && bytes[from] === openBrace && isSplit(fields, field, bytes, from)) {
    return objectEnd(fields, field, bytes, from, depth)
  }
  const to = skip(fields, bytes, from, depth)
  note(fields, field, from, to)
  return to
}

/** The position behind a value of which nothing is asked for. */
const skip = (fields: Fields, bytes: Uint8Array, from: number, depth: number): number => {
  const end = depth > deepest ? JsonNesting.tooDeep : skippedEnd(bytes, from, depth)
  if (end !== JsonNesting.tooDeep) return end
  fields.isTooDeep = true
  return nowhere
}

const skippedEnd = (bytes: Uint8Array, from: number, depth: number): number => {
  const first = bytes[from]
  if (first === openBrace || first === openBracket) return nestingEnd(bytes, from, depth)
  if (first === quote) return stringEnd(bytes, from)
  return isLetter(first) ? wordEnd(bytes, from) : numberEnd(bytes, from)
}

const nestingEnd = JsonNesting.reader({ deepest })

const isLetter = (byte: number | undefined): boolean => byte !== undefined && byte > 0x60

const isSplit = (fields: Fields, field: Field, bytes: Uint8Array, from: number): boolean =>
  (fields.learns || field.inOrder.length > 0) && bytes[spaceEnd(bytes, from + 1)] !== closeBrace

const note = (fields: Fields, field: Field, from: number, to: number): void => {
  if (fields.learns && !field.listed) {
    field.listed = true
    fields.columns.push(field)
  }
  field.record = fields.records
  field.from = from
  field.to = to
}

/** The field whose name lies here, with its quotes; none if it is not asked for. */
const find = (
  fields: Fields,
  parent: Field,
  bytes: Uint8Array,
  from: number,
  to: number
): Field | undefined => {
  const expected = parent.inOrder[parent.next]
  if (expected !== undefined && isKey(expected.key, bytes, from + 1, to - 1)) {
    parent.next += 1
    return expected
  }
  const name = representable(JSON.parse(decoder.decode(bytes.subarray(from, to))))
  const field = parent.byName.get(name) ?? (fields.learns ? add(parent, name) : undefined)
  if (field !== undefined) parent.next = field.index + 1
  return field
}

const isKey = (key: Uint8Array, bytes: Uint8Array, from: number, to: number): boolean => {
  if (to - from !== key.length) return false
  for (let at = 0; at < key.length; at++) if (bytes[from + at] !== key[at]) return false
  return true
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
