/**
 * Jobs as response bodies: the upstream's own JSON, with its links. A job's body is encoded once for each answer of the
 * upstream, however many callers ask for it.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, toJson } from "@org/batch-core/Batch"
import type { ListOptions, Page } from "@org/batch-core/BatchClient"
import { Effect, Redacted } from "effect"
import { Problem } from "./Problem.js"

const headers = { "cache-control": "no-store" }

/** A response with JSON. A string is sent in one piece with the headers; bytes would be a second write. */
export const json = (body: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(body, {
    contentType: "application/json",
    contentLength: Buffer.byteLength(body),
    headers
  })

const responses = new WeakMap<Batch, HttpServerResponse.HttpServerResponse>()

/** A job in the upstream's JSON. */
export const text = (batch: Batch): string => JSON.stringify(toJson(batch, { showUrls: true }))

/** The response with a job. */
export const response = (batch: Batch): HttpServerResponse.HttpServerResponse => {
  const known = responses.get(batch) ?? json(text(batch))
  responses.set(batch, known)
  return known
}

/** The response with a page of the list. */
export const page = ({ raw }: Page): HttpServerResponse.HttpServerResponse =>
  json(JSON.stringify(Redacted.value(raw)))

/** Query parameters of the list as options for the core. Only `limit` is checked here; the upstream checks the rest. */
export const listOptions = ({
  cursor,
  limit,
  status
}: {
  readonly cursor?: string | undefined
  readonly limit?: string | undefined
  readonly status?: string | undefined
}): Effect.Effect<ListOptions, Problem> =>
  limit === undefined || /^\d{1,9}$/u.test(limit)
    ? Effect.succeed({ cursor, status, limit: limit === undefined ? undefined : Number(limit) })
    : new Problem({
        status: 400,
        type: "RequestRejected",
        message: `limit: ${JSON.stringify(limit)} is no number of jobs`
      })
