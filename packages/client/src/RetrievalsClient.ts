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
import type { CallOptions } from "./Client.js"
import * as Answers from "./internal/Answers.js"
import * as Following from "./internal/Following.js"
import { checkId } from "./internal/ServiceArguments.js"
import * as Retrievals from "./internal/Retrievals.js"
import { Service } from "./internal/Service.js"
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
  list({ batchId, limit = Infinity, signal, state }: ListRetrievalsOptions = {}): AsyncGenerator<
    Retrieval,
    void,
    undefined
  > {
    const query = { state, batch_id: batchId }
    return Answers.list(this.#service, { path: "retrievals", query, limit, read: Retrievals.page, signal })
  }

  /**
   * The retrieval as it is, then at every change, and last when it has ended, which ends the iteration. A connection that
   * breaks is made again; only when that fails for about five minutes the failure is thrown.
   */
  async *watch(id: string, { signal }: CallOptions = {}): AsyncGenerator<Retrieval, void, undefined> {
    checkId("id", id)
    const path = `retrievals/${id}/events`
    const subject = { kind: "retrieval", id } as const
    yield* Following.follow(this.#service, { path, subject, read: Retrievals.parsed, signal })
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
      await this.#service.json({
        method,
        path,
        subject: { kind: "retrieval", id },
        signal,
        repeatable: method === "GET"
      })
    )
  }
}
