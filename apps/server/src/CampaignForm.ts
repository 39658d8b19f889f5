/**
 * What a caller says of a campaign: parameters in the query, or fields of a form beside the list.
 */
import { type HttpServerRequest, Multipart } from "@effect/platform"
import type { Received } from "@org/batch-core/Campaign"
import * as Format from "@org/batch-core/Format"
import * as InputRows from "@org/batch-core/InputRows"
import { JsonObject } from "@org/batch-core/Masking"
import type { Campaigns } from "@org/batch-durable"
import { Effect, Option, Ref, Schema, type Scope, Stream } from "effect"
import { invalid, Problem } from "./Problem.js"
import * as QueryNumber from "./QueryNumber.js"
import * as RequestBody from "./RequestBody.js"

/** A list that was handed in, and what is to become of it. */
export interface Handed {
  readonly request: Campaigns.Request
  readonly received: Received
}

const Flag = Schema.transformLiterals(["true", true], ["false", false]).annotations({
  message: () => "it must be true or false"
})

const maxCredits = Schema.NumberFromString.pipe(
  Schema.nonNegative({ message: () => "it must be a number of credits" })
)

/** The parameters of a retry. */
export const Limits = Schema.Struct({
  max_active: Schema.optional(QueryNumber.upTo100),
  max_credits: Schema.optional(maxCredits)
})

const Parameters = Schema.Struct({
  ...Limits.fields,
  kind: Schema.NonEmptyString,
  column: Schema.optional(Schema.NonEmptyString),
  as: Schema.optional(Schema.NonEmptyString),
  fields: Schema.optional(Schema.NonEmptyString),
  body: Schema.optional(
    Schema.parseJson(JsonObject).annotations({ message: () => "it must be a JSON object" })
  ),
  input_format: Schema.optional(Schema.Literal("csv", "tsv", "jsonl", "lines")),
  format: Schema.optional(Format.Format),
  join: Schema.optional(Flag),
  yes: Schema.optional(Flag),
  name: Schema.optional(Schema.String.pipe(Schema.maxLength(200)))
})

const decode = Schema.decodeUnknown(Parameters, { onExcessProperty: "error" })

const refused = (message: string, status = 400): Problem =>
  new Problem({ status, type: status === 415 ? "UnsupportedMediaType" : "RequestRejected", message })

/** What a body is by its media type. */
const formats: Readonly<Record<string, InputRows.InputFormat>> = {
  "application/x-ndjson": "jsonl",
  "application/ndjson": "jsonl",
  "application/jsonl": "jsonl",
  "application/x-jsonlines": "jsonl",
  "text/csv": "csv",
  "text/tab-separated-values": "tsv",
  "text/plain": "lines"
}

const unnamed = refused(
  "the body is a list: send it as application/x-ndjson, text/csv, text/tab-separated-values or text/plain, as a file of multipart/form-data, or name its input_format",
  415
)

const encoded = refused("the body must come as it is, without a Content-Encoding", 415)

const brokenForm = new Problem({
  status: 400,
  type: "RequestRejected",
  message: "the form cannot be read, has too many fields, or broke off",
  closes: true
})

/** The list, as it comes, and its name and format where they are known. */
interface Arrived {
  readonly received: Received
  readonly name: string
  readonly format: InputRows.InputFormat | undefined
  readonly fields: Readonly<Record<string, string>>
}

type Receive = (
  name: string,
  bytes: Stream.Stream<Uint8Array, Problem>
) => Effect.Effect<Received, Problem, Scope.Scope>

const plain = (
  request: HttpServerRequest.HttpServerRequest,
  receive: Receive,
  type: string
): Effect.Effect<Arrived, Problem, Scope.Scope> =>
  Effect.gen(function* () {
    const name = "the body"
    const received = yield* receive(name, RequestBody.limited(request)(request.stream))
    return { received, name, format: formats[type], fields: {} }
  })

/** The one file of a form; its other fields are parameters. */
const form = (
  request: HttpServerRequest.HttpServerRequest,
  receive: Receive
): Effect.Effect<Arrived, Problem, Scope.Scope> =>
  Effect.gen(function* () {
    const file = yield* Ref.make(Option.none<Omit<Arrived, "fields">>())
    const fields: Record<string, string> = {}
    const parts = Stream.mapError(request.multipartStream, () => brokenForm)
    yield* Stream.runForEach(parts, (part) =>
      Effect.gen(function* () {
        if (part._tag === "Field") return void (fields[part.key] = part.value)
        if (Option.isSome(yield* Ref.get(file))) {
          return yield* refused("the form has two files: one list makes a campaign")
        }
        const received = yield* receive(part.name, RequestBody.limited(request)(part.content))
        const known = formats[mediaTypeOf(part.contentType)]
        const format = known === undefined || known === "lines" ? InputRows.formatOf(part.name) : known
        yield* Ref.set(file, Option.some({ received, name: part.name, format }))
      })
    )
    return yield* Option.match(yield* Ref.get(file), {
      onNone: () => refused("the form has no file: the list is one"),
      onSome: (found) => Effect.succeed({ ...found, fields })
    })
  }).pipe(Multipart.withMaxParts(Option.some(100)))

const mediaTypeOf = (contentType: string): string => contentType.split(";", 1)[0]?.trim().toLowerCase() ?? ""

/** Takes the list to the disk, and reads what is to become of it. */
export const read = (
  request: HttpServerRequest.HttpServerRequest,
  receive: Receive
): Effect.Effect<Handed, Problem, Scope.Scope> =>
  Effect.gen(function* () {
    const { headers, url } = request
    const query = Object.fromEntries(new URL(url, "http://localhost").searchParams)
    const type = mediaTypeOf(headers["content-type"] ?? "")
    if ((headers["content-encoding"] ?? "identity") !== "identity") return yield* encoded
    const isForm = type === "multipart/form-data"
    if (!isForm && formats[type] === undefined && query["input_format"] === undefined) return yield* unnamed
    // What is wrong with the query is told before the list is taken.
    if (!isForm) yield* parametersOf(query)
    const arrived = yield* isForm ? form(request, receive) : plain(request, receive, type)
    const {
      body = {},
      fields,
      input_format,
      yes: _yes,
      ...rest
    } = yield* parametersOf({
      ...query,
      ...arrived.fields
    })
    const names = fields === undefined ? {} : { fields: fields.split(",").map((field) => field.trim()) }
    return {
      received: arrived.received,
      request: {
        kind: rest.kind,
        as: rest.as,
        body: { ...body, ...names },
        format: rest.format,
        join: rest.join,
        name: rest.name,
        maxActive: rest.max_active,
        maxCredits: rest.max_credits,
        input: { name: arrived.name, format: input_format ?? arrived.format ?? "lines", column: rest.column }
      }
    }
  })

const parametersOf = (
  given: Readonly<Record<string, string>>
): Effect.Effect<typeof Parameters.Type, Problem> =>
  Effect.filterOrFail(
    Effect.mapError(decode(given), invalid),
    ({ max_credits, yes }) => max_credits !== undefined || yes === true,
    () =>
      refused(
        "max_credits: say how many credits it may cost at most, or yes=true to be bounded by the account's balance alone"
      )
  )
