/**
 * The OpenAPI document that is derived from `Api`, with what cannot be derived: an example of every failure, headers,
 * and the media types of an answer that comes in several. Effect's own words for a request that cannot be decoded go:
 * `ErrorMiddleware` tells of it in the shape of every other failure.
 */

type Named<A> = Readonly<Record<string, A>>

/** A schema, as far as it is looked into. */
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
  readonly schema: { readonly examples?: ReadonlyArray<unknown> }
  readonly example?: unknown
}

interface Operation {
  readonly parameters: ReadonlyArray<Parameter>
  readonly responses: Named<Answer>
}

const reference = (name: string): string => `#/components/schemas/${name}`

/** The type of failure that an example shows for a status. */
const types: Named<string> = {
  400: "RequestRejected",
  401: "NotAuthorized",
  402: "NotAuthorized",
  403: "NotAuthorized",
  404: "BatchNotFound",
  406: "NotAcceptable",
  409: "BatchNotCompleted",
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

/** Statuses that come with the header; 502 only when the API has said when. */
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

const isFailure = ({ allOf = [] }: Shape): boolean => allOf.some(({ $ref }) => $ref === reference("Error"))

const isUndecodable = ({ $ref }: Shape): boolean => $ref === reference("HttpApiDecodeError")

/** An answer as it is shown, if it is. */
const answer = ([status, declared]: readonly [string, Answer]): ReadonlyArray<readonly [string, Answer]> => {
  const schema = declared.content?.["application/json"]?.schema ?? {}
  const shapes = schema.anyOf ?? [schema]
  const told = shapes.find(isFailure)
  if (told !== undefined) return [[status, failure(status, told.description ?? declared.description)]]
  return shapes.every(isUndecodable) ? [] : [[status, declared]]
}

const eachOf = <A>(named: Named<A>, change: (a: A) => A): Named<A> =>
  Object.fromEntries(Object.entries(named).map(([name, a]) => [name, change(a)]))

/** A parameter, with its example where the page looks for it: it is what is tried first. */
const parameter = ({ schema: { examples = [], ...schema }, ...rest }: Parameter): Parameter => ({
  ...rest,
  schema,
  ...(examples.length === 0 ? {} : { example: examples[0] })
})

/** The paths of the document, with their examples and failures. */
export const paths = (declared: Named<Named<Operation>>): Named<Named<Operation>> =>
  eachOf(declared, (methods) =>
    eachOf(methods, (operation) => ({
      ...operation,
      parameters: operation.parameters.map(parameter),
      responses: Object.fromEntries(Object.entries(operation.responses).flatMap(answer))
    }))
  )

/** The schemas of the document that are of this service. */
export const schemas = ({
  HttpApiDecodeError: _error,
  Issue: _issue,
  PropertyKey: _key,
  ...rest
}: Named<Shape>): Named<Shape> => rest

/** The results, in each of their forms. */
export const results = (responses: Named<Answer>): Named<Answer> => ({
  ...responses,
  200: {
    description: "All records, in the form that `Accept` asks for.",
    headers: {
      "X-Result-Count": { description: "How many records there are.", schema: { type: "integer" } },
      ETag: { description: "Of these results in this form; for `If-None-Match`.", schema: { type: "string" } }
    },
    content: {
      "application/x-ndjson": {
        schema: { type: "object", description: "Each line; its fields are those of the job's records." },
        example: { original_identifier: "example.com", internal_id: 1, data: { name: "Example" } }
      },
      "application/gzip": {
        schema: { type: "string", format: "binary", description: "The bytes as delivered: gzipped NDJSON." }
      },
      "text/csv": {
        schema: {
          type: "string",
          description: "A row for each record, a column for each field of any of them."
        },
        example: "original_identifier,internal_id,data.name\nexample.com,1,Example\n"
      }
    }
  },
  304: { description: "The results are still those of `If-None-Match`." }
})

/** The events, and what a caller is told that comes back after the last one. */
export const events = (responses: Named<Answer>): Named<Answer> => ({
  ...responses,
  200: {
    description: "`status` on every change, `end` last; each with the job as data.",
    content: {
      "text/event-stream": {
        schema: { type: "string" },
        example: ["status", "end"]
          .map((name) => `event: ${name}\ndata: {"batch_id":"96faf844-…","status":"completed"}\n\n`)
          .join("")
      }
    }
  },
  204: { description: "Whoever sends this `Last-Event-ID` has seen all: no need to come back." }
})

/** Tells the service which event was the last one that came. */
export const lastEventId = {
  name: "Last-Event-ID",
  in: "header",
  required: false,
  description: "The id of the last event that came, from a caller whose connection was lost.",
  schema: { type: "string" }
}
