/**
 * Transformations of the OpenAPI document that Effect derives from `Api`. They add what cannot be derived: an example of
 * every error, headers, and the media types of a response that comes in several. They remove Effect's own response for
 * a request that cannot be decoded: `ErrorMiddleware` answers it in the shape of every other error.
 */

type Named<A> = Readonly<Record<string, A>>

/** The fields of a JSON schema that are read here. */
interface Shape {
  readonly type?: string
  readonly format?: string
  readonly $ref?: string
  readonly description?: string
  readonly allOf?: ReadonlyArray<Shape>
  readonly anyOf?: ReadonlyArray<Shape>
}

interface Answer {
  readonly description: string
  readonly headers?: Named<object>
  readonly content?: Named<{ readonly schema: Shape; readonly example?: unknown }>
}

interface Parameter {
  readonly name?: string
  readonly in?: string
  readonly required?: boolean
  readonly description?: string
  readonly schema: { readonly examples?: ReadonlyArray<unknown> }
  readonly example?: unknown
}

interface Operation {
  readonly parameters: ReadonlyArray<Parameter>
  readonly security?: ReadonlyArray<object>
  readonly responses: Named<Answer>
}

const reference = (name: string): string => `#/components/schemas/${name}`

/** The `type` that the example of an error shows, by its status. */
const types: Named<string> = {
  400: "RequestRejected",
  401: "NotAuthorized",
  402: "NotAuthorized",
  403: "NotAuthorized",
  404: "BatchNotFound",
  406: "NotAcceptable",
  408: "RequestTimeout",
  409: "BatchNotCompleted",
  413: "RequestRejected",
  415: "UnsupportedMediaType",
  416: "RangeNotSatisfiable",
  422: "BatchFailed",
  429: "RateLimited",
  500: "Bug",
  502: "ApiUnavailable",
  503: "Draining",
  504: "WaitTimeout",
  507: "StorageError"
}

const retryAfter = {
  "Retry-After": {
    description: "Seconds after which it is worth asking again.",
    schema: { type: "integer", minimum: 0 }
  }
}

/** Statuses with a `Retry-After` header; with 502 only if the upstream has sent one. */
const withRetryAfter = ["409", "429", "502", "503"]

const failure = (status: string, description: string): Answer => ({
  description,
  ...(withRetryAfter.includes(status) ? { headers: retryAfter } : {}),
  content: {
    "application/json": {
      schema: { $ref: reference("Error") },
      example: { error: { type: types[status], message: description.replaceAll("`", ""), metadata: null } }
    }
  }
})

/** What may be wrong with any request: a method, a host, headers that are too long (405, 400, 408, 413, 417, 431). */
const anyOther: Answer = {
  description: "Any other failure, in the same shape.",
  content: { "application/json": { schema: { $ref: reference("Error") } } }
}

const isFailure = ({ allOf = [] }: Shape): boolean => allOf.some(({ $ref }) => $ref === reference("Error"))

const isUndecodable = ({ $ref }: Shape): boolean => $ref === reference("HttpApiDecodeError")

/** A response as the document shows it; none if it is left out. */
const answer = ([status, declared]: readonly [string, Answer]): ReadonlyArray<readonly [string, Answer]> => {
  const schema = declared.content?.["application/json"]?.schema ?? {}
  const shapes = schema.anyOf ?? [schema]
  const told = shapes.find(isFailure)
  if (told !== undefined) return [[status, failure(status, told.description ?? declared.description)]]
  return shapes.every(isUndecodable) ? [] : [[status, declared]]
}

const eachOf = <A>(named: Named<A>, change: (a: A) => A): Named<A> =>
  Object.fromEntries(Object.entries(named).map(([name, a]) => [name, change(a)]))

/** A parameter with its example where the page looks for it, to fill it in when somebody tries the path. */
const parameter = ({ schema: { examples = [], ...schema }, ...rest }: Parameter): Parameter => ({
  ...rest,
  schema,
  ...(examples.length === 0 ? {} : { example: examples[0] })
})

/** Adds examples and errors to the document's paths. */
export const paths = (declared: Named<Named<Operation>>): Named<Named<Operation>> =>
  eachOf(declared, (methods) =>
    eachOf(methods, (operation) => ({
      ...operation,
      parameters: operation.parameters.map(parameter),
      // A service with a key and without tokens asks for none.
      ...(operation.security === undefined || operation.security.length === 0
        ? {}
        : { security: [...operation.security, {}] }),
      responses: {
        ...Object.fromEntries(Object.entries(operation.responses).flatMap(answer)),
        default: anyOther
      }
    }))
  )

/** Removes Effect's own schemas from the document's. */
export const schemas = ({
  HttpApiDecodeError: _error,
  Issue: _issue,
  PropertyKey: _key,
  ...rest
}: Named<Shape>): Named<Shape> => rest

const optional = (name: string, description: string, schema: object = { type: "string" }): Parameter => ({
  name,
  in: "header",
  required: false,
  description,
  schema
})

/** The request headers of `/results` that say which version is known, and which part of it is missing. */
export const ofResults: ReadonlyArray<Parameter> = [
  optional("If-None-Match", "The `ETag` of what the caller has."),
  optional("Range", "Of `application/gzip` under a strong `ETag`: the bytes to send, such as `bytes=1000-`."),
  optional(
    "If-Range",
    "The `ETag` of which the caller has the beginning; another version is sent as a whole."
  )
]

const version = {
  ETag: { description: "Of these results in this form; for `If-None-Match`.", schema: { type: "string" } },
  "Accept-Ranges": { description: "`bytes`, if parts can be had.", schema: { type: "string" } }
}

/** The responses of `/results`: 200 in each media type, 206 of the bytes as delivered, and 304. */
export const results = (responses: Named<Answer>): Named<Answer> => ({
  ...responses,
  200: {
    description: "All records, in the form that `Accept` asks for.",
    headers: {
      "X-Result-Count": { description: "How many records there are.", schema: { type: "integer" } },
      "Content-Encoding": {
        description: "`gzip` of NDJSON and CSV, if `Accept-Encoding` allows it.",
        schema: { type: "string" }
      },
      ...version
    },
    content: {
      "application/x-ndjson": {
        schema: {
          type: "string",
          description: "A JSON object a line; its fields are those of the job's records."
        },
        example: `${JSON.stringify({ original_identifier: "example.com", internal_id: 1, data: { name: "Example" } })}\n`
      },
      "application/gzip": {
        schema: { type: "string", format: "binary", description: "The bytes as delivered: gzipped NDJSON." }
      },
      "text/csv": {
        schema: {
          type: "string",
          description: "A row for each record, a column for each field of any of them."
        },
        example: "original_identifier,internal_id,data.basic_info.name\nexample.com,1,Example\n"
      }
    }
  },
  206: {
    description: "The bytes as delivered that `Range` asks for.",
    headers: {
      "Content-Range": { description: "Which bytes, of how many.", schema: { type: "string" } },
      ...version
    },
    content: { "application/gzip": { schema: { type: "string", format: "binary" } } }
  },
  304: { description: "The results are still those of `If-None-Match`." }
})

/** The responses of a call that hands something over: 202, and 200 where that has been done before. */
export const handedOver = (responses: Named<Answer>): Named<Answer> => {
  const headers = { Location: { description: "Its path.", schema: { type: "string" } } }
  const news = { ...responses["202"], description: "It was handed over.", headers }
  return { ...responses, 200: { ...news, description: "It had been handed over before." }, 202: news }
}

/** The request body of a call that takes a list in: the list itself, or a form with a file. */
export const list = {
  required: true,
  description: "The list, or a form with one file, whose other fields are the parameters.",
  content: {
    "application/x-ndjson": {
      schema: { type: "string", description: "A JSON object a line; `column` is the field." },
      example: '{"website":"acme.com"}\n{"website":"example.com"}\n'
    },
    "text/csv": { schema: { type: "string" }, example: "website\nacme.com\n" },
    "text/tab-separated-values": { schema: { type: "string" } },
    "text/plain": { schema: { type: "string", description: "An identifier a line." } },
    "multipart/form-data": {
      schema: {
        type: "object",
        required: ["file"],
        properties: { file: { type: "string", format: "binary" } },
        additionalProperties: { type: "string" }
      }
    }
  }
}

/** The responses of a call that sends a file which no longer changes: as a whole, a part of it, or not again. */
export const file = (responses: Named<Answer>, contents: Readonly<Record<string, string>>): Named<Answer> => {
  const content = Object.fromEntries(
    Object.entries(contents).map(([type, description]) => [type, { schema: { type: "string", description } }])
  )
  return {
    ...responses,
    200: { description: "The whole file.", headers: version, content },
    206: {
      description: "The bytes that `Range` asks for.",
      headers: {
        "Content-Range": { description: "Which bytes, of how many.", schema: { type: "string" } },
        ...version
      },
      content
    },
    304: { description: "The file is still that of `If-None-Match`." }
  }
}

/** The request headers of a file. */
export const ofFile: ReadonlyArray<Parameter> = [
  optional("If-None-Match", "The `ETag` of what the caller has."),
  optional("Range", "The bytes to send, such as `bytes=1000-`."),
  optional("If-Range", "The `ETag` of which the caller has the beginning.")
]

/** What the events of a stream tell of. */
interface Told {
  /** The name of the event that tells of a change. */
  readonly event: string
  readonly what: string
  /** An example of the data. */
  readonly data: string
}

const ofJob: Told = {
  event: "status",
  what: "the job",
  data: '{"batch_id":"96faf844-…","status":"completed"}'
}

/** The responses of `/events`: 200 with the stream, and 204 for a caller that has seen its end. */
export const events = (responses: Named<Answer>, { data, event, what }: Told = ofJob): Named<Answer> => ({
  ...responses,
  200: {
    description: `\`${event}\` on every change, \`end\` last; each with ${what} as data.`,
    content: {
      "text/event-stream": {
        schema: { type: "string" },
        example: [event, "end"].map((name) => `event: ${name}\ndata: ${data}\n\n`).join("")
      }
    }
  },
  204: { description: "Whoever sends this `Last-Event-ID` has seen all: no need to come back." }
})

/** The request header by which a caller goes on after a lost connection. */
export const lastEventId = optional(
  "Last-Event-ID",
  "The id of the last event that came, from a caller whose connection was lost."
)
