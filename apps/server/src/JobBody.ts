/**
 * Jobs as the body of an answer: the upstream's own JSON, its links included. A job's is made once for each answer of
 * the API, however many ask for it.
 */
import { HttpServerResponse } from "@effect/platform"
import { type Batch, toJson } from "@org/batch-core/Batch"
import type { ListOptions, Page } from "@org/batch-core/BatchClient"
import { Effect, Redacted } from "effect"
import { Problem } from "./Problem.js"

const headers = { "cache-control": "no-store" }

/** A body of text goes out in one piece with its headers; one of bytes would take a second buffer. */
const json = (body: string): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.raw(body, {
    contentType: "application/json",
    contentLength: Buffer.byteLength(body),
    headers
  })

const responses = new WeakMap<Batch, HttpServerResponse.HttpServerResponse>()

/** The upstream's JSON of a job. */
export const text = (batch: Batch): string => JSON.stringify(toJson(batch, { showUrls: true }))

/** The answer that holds a job. */
export const response = (batch: Batch): HttpServerResponse.HttpServerResponse => {
  const known = responses.get(batch) ?? json(text(batch))
  responses.set(batch, known)
  return known
}

/** The answer that holds a page of the list. */
export const page = ({ raw }: Page): HttpServerResponse.HttpServerResponse =>
  json(JSON.stringify(Redacted.value(raw)))

/** What a caller may ask of the list; the API has the last word. */
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
