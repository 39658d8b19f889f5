/**
 * An HTTP answer as it is planned: what would be sent if no fault disturbed it.
 */
import * as Content from "./Content.js"

/** A planned answer: status, headers (names in lower case) and body. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Content.Content
  /** Inflate the body on the way out; its length is then unknown. */
  readonly inflated?: boolean | undefined
  /** The body of a range answer, had it started at another offset of its object. */
  readonly bodyFrom?: ((offset: number) => Content.Content) | undefined
}

/** A JSON answer. */
export const json = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {}
): Answer => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: Content.text(JSON.stringify(value))
})

/** An answer of text. */
export const text = (status: number, contentType: string, body: string): Answer => ({
  status,
  headers: { "content-type": contentType },
  body: Content.text(body)
})

/** The same answer with more headers, or other values for those it has. */
export const withHeaders = (answer: Answer, headers: Readonly<Record<string, string>>): Answer => ({
  ...answer,
  headers: { ...answer.headers, ...headers }
})

/** The same answer without a header. */
export const withoutHeader = (answer: Answer, name: string): Answer => {
  const { [name]: _, ...headers } = answer.headers
  return { ...answer, headers }
}
