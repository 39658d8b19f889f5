/**
 * Retrievals: the service is handed a batch, waits for its end, puts the verified results where they are wanted and
 * tells, through crashes and deploys, while the caller has long gone. Where `Client` talks to the API, this one talks to
 * the service, and needs nothing of it but its address and a token.
 *
 * @example
 * import { RetrievalsClient } from "@org/batch-client"
 *
 * const retrievals = new RetrievalsClient({ url: "https://batches.example.com", token: process.env["BATCH_SERVER_TOKEN"] })
 *
 * const deliver = async (batchId: string) => {
 *   const { retrievalId } = await retrievals.create(batchId, {
 *     destination: { type: "s3", bucket: "results", key: `companies/${batchId}.jsonl.gz` },
 *     notify: { url: "https://example.com/done" }
 *   })
 *   for await (const { progress, state } of retrievals.watch(retrievalId)) console.log(state, progress.records)
 * }
 */
import { BatchError, InvalidArgument } from "./BatchError.js"
import type { CallOptions } from "./Client.js"
import * as Retrievals from "./internal/Retrievals.js"
import * as ServerSentEvents from "./internal/ServerSentEvents.js"
import { Watchdog } from "./internal/Watchdog.js"
import { isPassing, pause, Service } from "./internal/Service.js"
import type { Format } from "./Receipt.js"
import type { Retrieval, RetrievalDestination, RetrievalState } from "./Retrieval.js"
import type { RetrievalsSettings } from "./Settings.js"

/** What is to be done with the results of a batch. */
export interface CreateOptions extends CallOptions {
  /** Default: `<batch-id>.<format>` in the folder of the service. */
  readonly destination?: RetrievalDestination | undefined
  /** Default: what the extension of the destination says, otherwise `jsonl.gz`. */
  readonly format?: Format | undefined
  /** Who is told, as a signed webhook, when it is done or has failed. */
  readonly notify?: { readonly url: string } | undefined
  /** Replace what is at the destination, which otherwise makes it fail. */
  readonly replace?: boolean | undefined
}

/** Which retrievals to list. */
export interface ListRetrievalsOptions extends CallOptions {
  readonly state?: RetrievalState | undefined
  readonly batchId?: string | undefined
  /** Retrievals at most. Default: all; pages are asked for as they are read. */
  readonly limit?: number | undefined
}

/** Milliseconds of silence after which a stream of events counts as broken; the service says something each 15 s. */
const silence = 60_000

/** Connections that may fail in a row, which with their pauses is about five minutes. */
const patience = 12

const longestPause = 30_000

/** The retrievals of a service. There is nothing to close. */
export class RetrievalsClient {
  readonly #service: Service

  /** Nothing happens until the first call. A setting that cannot be used is an `InvalidSetting` of every call. */
  constructor(settings: RetrievalsSettings = {}) {
    this.#service = new Service(settings)
  }

  /**
   * Hands over a batch. The same batch, destination and format is the same retrieval, which is given as it is, whatever its
   * state; so the same call again does no harm. A batch that the API does not know becomes one that has failed.
   */
  async create(
    batchId: string,
    { destination = { type: "folder" }, format, notify, replace, signal }: CreateOptions = {}
  ): Promise<Retrieval> {
    checkId("batchId", batchId)
    const body = { batch_id: batchId, destination, format, notify, replace }
    return Retrievals.one(
      await this.#service.json({ method: "POST", path: "retrievals", body, signal, repeatable: true })
    )
  }

  /** The retrieval as it is now. */
  get(id: string, { signal }: CallOptions = {}): Promise<Retrieval> {
    return this.#ask("GET", id, "", signal)
  }

  /** The account's retrievals. */
  async *list({ batchId, limit = Infinity, signal, state }: ListRetrievalsOptions = {}): AsyncGenerator<
    Retrieval,
    void,
    undefined
  > {
    if (limit !== Infinity && !(Number.isInteger(limit) && limit > 0)) {
      throw refused("limit", `${String(limit)} is no whole number of at least 1`)
    }
    let left = limit
    let cursor: string | undefined
    do {
      const query = { state, batch_id: batchId, limit: String(Math.min(left, 100)), cursor }
      const { next, retrievals } = Retrievals.page(
        await this.#service.json({ method: "GET", path: "retrievals", query, signal, repeatable: true })
      )
      for (const one of retrievals.slice(0, left)) {
        signal?.throwIfAborted()
        yield one
      }
      left -= retrievals.length
      cursor = next
    } while (cursor !== undefined && left > 0)
  }

  /**
   * The retrieval as it is, then at every change, and last when it has ended, which ends the iteration. A connection that
   * breaks is made again; only when that fails for about five minutes the failure is thrown.
   */
  async *watch(id: string, { signal }: CallOptions = {}): AsyncGenerator<Retrieval, void, undefined> {
    checkId("id", id)
    let [seen, lastId, failures, wait]: [string, string | undefined, number, number] = [
      "",
      undefined,
      0,
      1000
    ]
    for (;;) {
      const quiet = new Watchdog(silence)
      try {
        const response = await this.#service.open({
          method: "GET",
          path: `retrievals/${id}/events`,
          headers: {
            accept: "text/event-stream",
            ...(lastId === undefined ? {} : { "last-event-id": lastId })
          },
          retrievalId: id,
          signal: signal === undefined ? quiet.signal : AbortSignal.any([signal, quiet.signal]),
          repeatable: seen === ""
        })
        if (response.status === 204 || response.body === null) return
        const events = ServerSentEvents.read(response.body, {
          onBytes: () => quiet.touch(),
          onRetry: (milliseconds) => (wait = Math.min(milliseconds, longestPause))
        })
        for await (const event of events) {
          failures = 0
          lastId = event.id ?? lastId
          if (event.data !== seen) yield Retrievals.parsed((seen = event.data))
          if (event.name === "end") return
          signal?.throwIfAborted()
        }
      } catch (error) {
        signal?.throwIfAborted()
        const failure = error instanceof BatchError ? error : this.#service.unreachable(error, failures + 1)
        if (seen === "" || failures >= patience || !isPassing(failure)) throw failure
      } finally {
        quiet.end()
      }
      await pause(Math.min(longestPause, wait * 2 ** failures++), signal)
    }
  }

  /** Stops it, removes what is unfinished, and gives it `cancelled`; one that has ended is a `RetrievalConflict`. */
  stop(id: string, { signal }: CallOptions = {}): Promise<Retrieval> {
    return this.#ask("DELETE", id, "", signal)
  }

  /** Begins one again that has failed or was cancelled; any other is a `RetrievalConflict`. */
  retry(id: string, { signal }: CallOptions = {}): Promise<Retrieval> {
    return this.#ask("POST", id, "/retry", signal)
  }

  async #ask(
    method: "GET" | "POST" | "DELETE",
    id: string,
    what: string,
    signal: AbortSignal | undefined
  ): Promise<Retrieval> {
    checkId("id", id)
    const path = `retrievals/${id}${what}`
    return Retrievals.one(
      await this.#service.json({ method, path, retrievalId: id, signal, repeatable: method === "GET" })
    )
  }
}

const uuid = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu

const refused = (argument: string, detail: string): InvalidArgument =>
  new InvalidArgument({ argument, detail, message: `${argument}: ${detail}` })

const checkId = (argument: string, id: string): void => {
  if (!uuid.test(id)) throw refused(argument, `${JSON.stringify(id)} is no id: an id is a UUID`)
}
