import { expect, layer } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { JsonObject } from "@org/batch-core/Masking"
import { fullFormats } from "ajv-formats/dist/formats.js"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect, Layer, Schema } from "effect"
import { type Answer, json } from "./Caller.js"
import { nobody, over, Service, layer as service, small, temporary, under } from "./Service.js"

layer(service(), { excludeTestServices: true })("the contract", (it) => {
  it.effect("the document is OpenAPI 3.1 to a tool of somebody else's, every reference included", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      const document = Schema.decodeUnknownSync(JsonObject)(json(yield* get("/openapi.json")))
      const validator = new Validator()
      const { errors, valid } = yield* Effect.promise(() => validator.validate(document))
      expect({ errors, valid, version: validator.version }).toEqual({
        errors: undefined,
        valid: true,
        version: "3.1"
      })
      expect(JSON.stringify(validator.resolveRefs())).not.toContain("$ref")
    })
  )

  it.effect("what it shows as examples is what it describes", () =>
    Effect.gen(function* () {
      const { get } = yield* Service
      const { examples, validate } = yield* described(get)
      expect(examples.length).toBeGreaterThan(30)
      for (const { example, where } of examples)
        expect([where, validate(where, example)]).toEqual([where, []])
    })
  )

  it.effect("answers are what it says, path by path and status by status", () =>
    Effect.gen(function* () {
      const { ask, get, sandbox } = yield* Service
      const { validate } = yield* described(get)
      const done = yield* sandbox.createJob({ ...over, parts: 3 })
      const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
      const running = yield* sandbox.createJob({ stuck: true })
      const unlinked = yield* sandbox.createJob({ ...over, downloadUrl: false, downloadUrls: false })
      const paths: ReadonlyArray<readonly [route: string, status: number, path: string, accept?: string]> = [
        ["/batch", 200, "/batch"],
        ["/batch", 400, "/batch?limit=x"],
        ["/batch", 400, "/batch?status=odd"],
        ...[done, failed, running].map((id) => ["/batch/{batch_id}", 200, `/batch/${id}`] as const),
        ["/batch/{batch_id}", 400, "/batch/42"],
        ["/batch/{batch_id}", 404, `/batch/${nobody}`],
        ...[done, failed, running].map(
          (id) => ["/batch/{batch_id}/wait", 200, `/batch/${id}/wait?timeout=100ms`] as const
        ),
        ["/batch/{batch_id}/wait", 400, `/batch/${done}/wait?timeout=soon`],
        ["/batch/{batch_id}/wait", 404, `/batch/${nobody}/wait`],
        ["/batch/{batch_id}/events", 404, `/batch/${nobody}/events`],
        ["/batch/{batch_id}/results", 400, `/batch/${done}/results?wait=1d`],
        ["/batch/{batch_id}/results", 404, `/batch/${nobody}/results`],
        ["/batch/{batch_id}/results", 406, `/batch/${done}/results`, "image/png"],
        ["/batch/{batch_id}/results", 409, `/batch/${running}/results`],
        ["/batch/{batch_id}/results", 422, `/batch/${failed}/results`],
        ["/batch/{batch_id}/results", 502, `/batch/${unlinked}/results`],
        ["/batch/{batch_id}/results", 504, `/batch/${running}/results?wait=100ms`],
        ["/health", 200, "/health"],
        ["/ready", 200, "/ready"]
      ]
      for (const [route, status, path, accept] of paths) {
        const answer = yield* ask(path, { headers: accept === undefined ? {} : { accept } })
        expect([path, answer.status]).toEqual([path, status])
        expect([path, validate(place(route, answer), json(answer))]).toEqual([path, []])
      }
      for (const [status, times, headers] of [
        [401, 1, {}],
        [402, 1, {}],
        [403, 1, {}],
        [500, 4, {}],
        [429, 1, { "retry-after": "1000" }]
      ] as const) {
        const rule = { on: { server: "api" }, times, do: { respond: { status, headers } } } as const
        const answer = yield* under(sandbox, [rule], get("/batch"))
        expect(answer.status).toBe(status === 500 ? 502 : status)
        expect([status, validate(place("/batch", answer), json(answer))]).toEqual([status, []])
      }
      for (const [route, status, method, path, body] of retrievals(done, running)) {
        const answer = yield* ask(path, {
          method,
          headers: { "content-type": "application/json" },
          body: body === undefined ? undefined : JSON.stringify(body)
        })
        expect([method, path, answer.status]).toEqual([method, path, status])
        const where = place(route, answer, method.toLowerCase())
        expect([method, path, validate(where, json(answer))]).toEqual([method, path, []])
      }
      for (const [route, status, method, path, list] of campaigns) {
        const headers =
          list === undefined ? {} : { "content-type": list === "{}" ? "image/png" : "text/plain" }
        const answer = yield* ask(path, { method, headers, body: list })
        expect([method, path, answer.status]).toEqual([method, path, status])
        const where = place(route, answer, method.toLowerCase())
        expect([method, path, validate(where, json(answer))]).toEqual([method, path, []])
      }
    }).pipe(Effect.provide(withStore))
  )

  it.effect("the lines of the results and the texts of the rest have the types it gives them", () =>
    Effect.gen(function* () {
      const { get, sandbox } = yield* Service
      const { types, validate } = yield* described(get)
      const id = yield* sandbox.createJob(over)
      for (const [route, path, accept] of [
        ["/batch/{batch_id}/results", `/batch/${id}/results`, "application/x-ndjson"],
        ["/batch/{batch_id}/results", `/batch/${id}/results`, "application/gzip"],
        ["/batch/{batch_id}/events", `/batch/${id}/events`, "text/event-stream"],
        ["/metrics", "/metrics", "*/*"]
      ] as const) {
        const answer = yield* get(path, { accept })
        expect(types(route)).toContain(answer.headers["content-type"])
        if (accept === "application/x-ndjson")
          expect(validate(place(route, answer), answer.body.toString())).toEqual([])
      }
    })
  )

  it.effect(
    "jobs and pages have the fields that the upstream has published, of its types, and no others",
    () =>
      Effect.gen(function* () {
        const { get, sandbox } = yield* Service
        const done = yield* sandbox.createJob({ ...over, parts: 2 })
        const failed = yield* sandbox.createJob({ ...over, outcome: "failed" })
        const running = yield* sandbox.createJob({ stuck: true })
        const answers = yield* Effect.forEach([done, failed, running], (id) => get(`/batch/${id}`))
        for (const answer of answers) expect(published("Job", json(answer))).toEqual([])
        expect(published("Page", json(yield* get("/batch?limit=2")))).toEqual([])
        expect(published("Page", json(yield* get("/batch")))).toEqual([])
        expect(
          published("Job", { ...Object(json(yield* get(`/batch/${done}`))), result_count: "3" })
        ).not.toEqual([])
        expect(published("Page", { jobs: [{}], next_cursor: null, has_more: false })).not.toEqual([])
      })
  )
})

// ----------------------------------------------------------------------------------------------------------------

/** A service with a store in a folder of its own. */
const withStore = Layer.unwrapScoped(
  Effect.map(temporary, (folder) => service({ env: { ...small, BATCH_SERVER_STATE: folder } }))
)

/** Calls of `/retrievals`, and how they end. */
const retrievals = (
  done: string,
  running: string
): ReadonlyArray<readonly [route: string, status: number, method: string, path: string, body?: object]> => {
  const id = "/retrievals/{retrieval_id}"
  const nowhere = `/retrievals/${nobody}`
  const hand = (batch_id: string) => ({ batch_id, destination: { type: "folder" } })
  return [
    ["/retrievals", 200, "GET", "/retrievals"],
    ["/retrievals", 400, "GET", "/retrievals?state=odd"],
    ["/retrievals", 400, "POST", "/retrievals", {}],
    ["/retrievals", 202, "POST", "/retrievals", hand(done)],
    ["/retrievals", 200, "POST", "/retrievals", hand(done)],
    ["/retrievals", 202, "POST", "/retrievals", hand(running)],
    ["/retrievals", 200, "GET", "/retrievals"],
    [id, 404, "GET", nowhere],
    [id, 404, "DELETE", nowhere],
    [`${id}/events`, 404, "GET", `${nowhere}/events`],
    [`${id}/retry`, 404, "POST", `${nowhere}/retry`]
  ]
}

/** Calls of `/campaigns`, and how they end. */
const campaigns = ((): ReadonlyArray<
  readonly [route: string, status: number, method: string, path: string, list?: string]
> => {
  const id = "/campaigns/{campaign_id}"
  const nowhere = `/campaigns/${nobody}`
  const enrich = "/campaigns?kind=company/enrich&as=domains&yes=true"
  return [
    ["/campaigns", 400, "GET", "/campaigns?state=odd"],
    ["/campaigns", 400, "POST", enrich.replace("&yes=true", ""), "acme.com"],
    ["/campaigns", 415, "POST", enrich, "{}"],
    ["/campaigns", 202, "POST", enrich, "acme.com"],
    ["/campaigns", 200, "POST", enrich, "acme.com"],
    ["/campaigns", 200, "GET", "/campaigns"],
    [id, 404, "GET", nowhere],
    [id, 404, "DELETE", nowhere],
    ...["events", "results", "fates", "remainder"].map(
      (name) => [`${id}/${name}`, 404, "GET", `${nowhere}/${name}`] as const
    ),
    [`${id}/retry`, 404, "POST", `${nowhere}/retry`]
  ]
})()

type Get = (path: string) => Effect.Effect<Answer>

const Document = Schema.Struct({
  paths: Schema.Record({
    key: Schema.String,
    value: Schema.Record({
      key: Schema.String,
      value: Schema.Struct({
        responses: Schema.Record({
          key: Schema.String,
          value: Schema.Struct({
            content: Schema.optionalWith(
              Schema.Record({
                key: Schema.String,
                value: Schema.Struct({ example: Schema.optional(Schema.Unknown) })
              }),
              { default: () => ({}) }
            )
          })
        })
      })
    })
  })
})

const escaped = (text: string): string => encodeURIComponent(text.replaceAll("~", "~0").replaceAll("/", "~1"))

/** Where the document says what such an answer is. */
const place = (
  route: string,
  { headers, status }: Pick<Answer, "headers" | "status">,
  method = "get"
): string =>
  [
    "#",
    "paths",
    route,
    method,
    "responses",
    String(status),
    "content",
    headers["content-type"] ?? "",
    "schema"
  ]
    .map((part, index) => (index === 0 ? part : escaped(part)))
    .join("/")

/** The document as schemas, and the examples in it. */
const described = (get: Get) =>
  Effect.gen(function* () {
    const raw = Schema.decodeUnknownSync(JsonObject)(json(yield* get("/openapi.json")))
    const { paths } = Schema.decodeUnknownSync(Document)(raw)
    const ajv = new Ajv2020({ formats: fullFormats, strict: false, allErrors: true })
    ajv.addSchema(raw, "document")
    const contents = Object.entries(paths).flatMap(([route, methods]) =>
      Object.entries(methods).flatMap(([method, { responses }]) =>
        Object.entries(responses).flatMap(([status, { content }]) =>
          Object.entries(content).map(([type, { example }]) => ({
            type,
            route,
            example,
            where: place(route, { status: Number(status), headers: { "content-type": type } }, method)
          }))
        )
      )
    )
    return {
      types: (wanted: string) => contents.flatMap(({ route, type }) => (route === wanted ? [type] : [])),
      examples: contents.filter(({ example }) => example !== undefined),
      /** What is wrong with a value, by the schema at a place. */
      validate: (where: string, value: unknown): ReadonlyArray<unknown> => {
        const validate = ajv.compile({ $ref: `document${where}` })
        return validate(value) ? [] : (validate.errors ?? [])
      }
    }
  })

const count = { type: "integer", minimum: 0 }
const instant = { type: "string", format: "date-time" }
const link = { type: "string", format: "uri", pattern: "^https?:" }

const item = {
  batch_id: { type: "string", format: "uuid" },
  status: { enum: ["pending", "processing", "completed", "failed"] },
  entity: { type: "string" },
  action: { type: "string" },
  identifier_count: count,
  result_count: count,
  entities_requested: count,
  entities_fulfilled: count,
  created_at: instant,
  completed_at: { anyOf: [instant, { type: "null" }] }
}

/** The fields that the vendor's documentation lists, with the links and messages when they are due. */
const job = {
  type: "object",
  required: Object.keys(item),
  properties: {
    ...item,
    error_message: { type: "string" },
    download_url: link,
    download_urls: { type: "array", items: link }
  },
  additionalProperties: false,
  allOf: [
    {
      if: { properties: { status: { const: "completed" } } },
      // oxlint-disable-next-line unicorn/no-thenable -- the word of JSON Schema
      then: { required: ["download_url", "download_urls"] },
      else: { properties: { download_url: false, download_urls: false } }
    },
    {
      if: { properties: { status: { const: "failed" } } },
      // oxlint-disable-next-line unicorn/no-thenable -- the word of JSON Schema
      then: { required: ["error_message"] },
      else: { properties: { error_message: false } }
    }
  ]
}

const page = {
  type: "object",
  required: ["jobs", "next_cursor", "has_more"],
  properties: {
    jobs: {
      type: "array",
      minItems: 1,
      items: {
        type: "object",
        required: Object.keys(item),
        properties: { ...item, error_message: { type: "string" } },
        additionalProperties: false
      }
    },
    next_cursor: { anyOf: [item.batch_id, { type: "null" }] },
    has_more: { type: "boolean" }
  },
  additionalProperties: false
}

const upstream = new Ajv2020({
  formats: fullFormats,
  allErrors: true,
  allowUnionTypes: true,
  strictRequired: false
})

/** What is wrong with an answer by the upstream's documentation. */
const published = (name: "Job" | "Page", value: unknown): ReadonlyArray<unknown> => {
  const validate = upstream.compile(name === "Job" ? job : page)
  return validate(value) ? [] : (validate.errors ?? [])
}
