/** What the service answers, read by a schema, and its lists, page by page. */
import { Either, ParseResult, Schema } from "effect"
import { MalformedResponse } from "../BatchError.js"
import type { Service } from "./Service.js"
import { checkLimit } from "./ServiceArguments.js"

/** What a value is; throws `MalformedResponse` of what is no such thing. */
export const decoded = <A, I>(schema: Schema.Schema<A, I>, value: unknown, what: string): A =>
  Either.getOrThrowWith(Schema.decodeUnknownEither(schema)(value), (error) => {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    const detail = `${issue?.path.join(".") ?? ""} is not as it must be`.trim()
    return new MalformedResponse({
      status: 200,
      detail,
      message: `the service's answer is no ${what}: ${detail}`
    })
  })

/** The fields of a page that say where the next one begins. */
export const pageFields = { next_cursor: Schema.NullOr(Schema.String), has_more: Schema.Boolean }

/** A page of a list, and where the next one begins, if there is one. */
export interface Page<A> {
  readonly items: ReadonlyArray<A>
  readonly next: string | undefined
}

/** Where the page after this one begins. */
export const nextOf = (page: { readonly next_cursor: string | null; readonly has_more: boolean }) =>
  page.has_more ? (page.next_cursor ?? undefined) : undefined

/** What to list. */
export interface ListOptions<A> {
  readonly path: string
  readonly query: Readonly<Record<string, string | undefined>>
  readonly limit: number
  readonly read: (value: unknown) => Page<A>
  readonly signal: AbortSignal | undefined
}

/** All of a list, at most `limit`; pages are asked for as they are read. */
export async function* list<A>(
  service: Service,
  { limit, path, query, read, signal }: ListOptions<A>
): AsyncGenerator<A, void, undefined> {
  checkLimit(limit)
  let left = limit
  let cursor: string | undefined
  do {
    const asked = { ...query, limit: String(Math.min(left, 100)), cursor }
    const { items, next } = read(
      await service.json({ method: "GET", path, query: asked, signal, repeatable: true })
    )
    for (const one of items.slice(0, left)) {
      signal?.throwIfAborted()
      yield one
    }
    left -= items.length
    cursor = next
  } while (cursor !== undefined && left > 0)
}
