/** The HTTP service: its address, its token, and requests that are tried again where that is harmless. */
import { maskText } from "@org/batch-core/Masking"
import { setTimeout } from "node:timers/promises"
import {
  ApiUnavailable,
  BatchError,
  InvalidSetting,
  MalformedResponse,
  RateLimited,
  StoreUnavailable
} from "../BatchError.js"
import type { RetrievalsSettings } from "../Settings.js"
import * as Refusals from "./Refusals.js"

/** A request below the root of the service. */
export interface Request {
  readonly method: "GET" | "POST" | "DELETE"
  /** Such as `retrievals`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** In place of a JSON body: its bytes, by this media type. */
  readonly content?: {
    readonly type: string
    readonly body: string | Uint8Array | ReadableStream<Uint8Array>
  }
  /** What it is about. */
  readonly subject?: Refusals.Subject | undefined
  /** Whether twice is as good as once. */
  readonly repeatable: boolean
  readonly signal?: AbortSignal | undefined
}

/** Milliseconds for one plain answer. */
const patience = 30_000

/** Tries of a request in all. */
const tries = 4

/** The longest pause in seconds that a call waits for by itself. */
const longestPause = 20

/** Whether the same call may succeed a little later. */
export const isPassing = (error: unknown): error is ApiUnavailable | RateLimited | StoreUnavailable =>
  error instanceof RateLimited ||
  error instanceof StoreUnavailable ||
  (error instanceof ApiUnavailable && !error.lasting)

/** Waits; an abort ends it with the signal's reason. */
export const pause = async (milliseconds: number, signal: AbortSignal | undefined): Promise<void> => {
  try {
    await setTimeout(milliseconds, undefined, signal === undefined ? {} : { signal })
  } catch (error) {
    signal?.throwIfAborted()
    throw error
  }
}

/** The service at an address. */
export class Service {
  readonly #settings: RetrievalsSettings

  constructor(settings: RetrievalsSettings) {
    this.#settings = settings
  }

  /** The JSON of an answer. */
  async json(request: Request): Promise<unknown> {
    const text = await this.#retried(request, async (attempts) => {
      // How long a list takes to be sent is its sender's to say.
      const time = request.content === undefined ? [AbortSignal.timeout(patience)] : []
      const signal = AbortSignal.any([...time, ...(request.signal === undefined ? [] : [request.signal])])
      const response = await this.#fetch({ ...request, signal }, attempts)
      return response.text().catch((cause: unknown) => Promise.reject(this.unreachable(cause, attempts)))
    })
    try {
      return JSON.parse(text)
    } catch {
      const detail = "the answer is no JSON"
      throw new MalformedResponse({ status: 200, detail, message: `the service is none: ${detail}` })
    }
  }

  /** An answer as it comes. */
  open(request: Request): Promise<Response> {
    return this.#retried(request, (attempts) => this.#fetch(request, attempts))
  }

  /** What a broken connection is. */
  unreachable(cause: unknown, attempts: number): ApiUnavailable {
    const isLate = cause instanceof Error && cause.name === "TimeoutError"
    const detail = isLate ? "no answer in time" : this.#redact(maskText(reasonOf(cause)))
    return new ApiUnavailable({
      message: `the service at ${this.#root().host} cannot be reached: ${detail}`,
      detail,
      reason: isLate ? "Timeout" : "Network",
      status: undefined,
      attempts,
      retryAfterSeconds: undefined,
      lasting: /ENOTFOUND|CERT|SELF_SIGNED|UNABLE_TO_VERIFY/u.test(detail),
      remedy: undefined
    })
  }

  async #retried<A>({ repeatable, signal }: Request, once: (attempts: number) => Promise<A>): Promise<A> {
    for (let attempts = 1; ; attempts++) {
      signal?.throwIfAborted()
      try {
        return await once(attempts)
      } catch (error) {
        signal?.throwIfAborted()
        if (!repeatable || attempts === tries || !isPassing(error)) throw error
        const { retryAfterSeconds = 0.25 * 2 ** attempts } = error
        if (retryAfterSeconds > longestPause) throw error
        await pause(retryAfterSeconds * 1000, signal)
      }
    }
  }

  async #fetch({ body, content, headers, method, path, query, signal, subject }: Request, attempts: number) {
    const url = this.#root()
    url.pathname = `${url.pathname.replace(/\/+$/u, "")}/${path}`
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    const token = this.#token()
    const request: RequestInit = {
      method,
      redirect: "manual",
      headers: {
        accept: "application/json",
        ...headers,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(content === undefined ? {} : { "content-type": content.type })
      },
      ...(signal === undefined ? {} : { signal }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      // A body that is read as it is sent has no answer before its end.
      ...(content === undefined ? {} : { body: content.body, duplex: "half" })
    }
    const { fetch = globalThis.fetch } = this.#settings
    let response
    try {
      response = await fetch(url.href, request)
      if (response.ok) return response
      throw Refusals.of({
        status: response.status,
        body: await response.text(),
        retryAfter: response.headers.get("retry-after"),
        redact: (text) => this.#redact(text),
        attempts,
        subject
      })
    } catch (error) {
      throw error instanceof BatchError ? error : this.unreachable(error, attempts)
    }
  }

  #root(): URL {
    const setting = "BATCH_SERVER_URL"
    const refuse = (detail: string) =>
      new InvalidSetting({ setting, detail, message: `${setting}: ${detail}` })
    const text = this.#settings.url ?? (process.env[setting] || undefined)
    if (text === undefined)
      throw refuse("it is not set: the address of the service, such as http://127.0.0.1:8787")
    if (!URL.canParse(text)) throw refuse("it is no URL")
    const url = new URL(text)
    if (!/^https?:$/u.test(url.protocol)) throw refuse("it must begin with http:// or https://")
    if (url.username !== "" || url.password !== "") throw refuse("the token goes into BATCH_SERVER_TOKEN")
    if (url.search !== "" || url.hash !== "") throw refuse("it must have no query and no fragment")
    return url
  }

  #token(): string | undefined {
    const setting = "BATCH_SERVER_TOKEN"
    const token = this.#settings.token ?? (process.env[setting] || undefined)
    if (token === undefined || /^[\x21-\x7e]+$/u.test(token)) return token
    const detail = "it has characters that no token has"
    throw new InvalidSetting({ setting, detail, message: `${setting}: ${detail}` })
  }

  #redact(text: string): string {
    const token = this.#token()
    return token === undefined || token === "" ? text : text.replaceAll(token, "***")
  }
}

/** `fetch failed` says nothing; what it was caused by does. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message
}
