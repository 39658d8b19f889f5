/**
 * Campaigns of the service: it is handed a list of any length and makes one verified result of it, through crashes and
 * deploys, while the caller has long gone. `Client.run` does the same in the process of its caller.
 *
 * @example
 * import { CampaignsClient } from "@org/batch-client"
 * import { createReadStream } from "node:fs"
 * import { writeFile } from "node:fs/promises"
 *
 * const campaigns = new CampaignsClient({ url: "https://batches.example.com" })
 *
 * const enrich = async (path: string) => {
 *   const list = { input: createReadStream(path), inputFormat: "csv", column: "website", as: "domains" } as const
 *   const { campaignId } = await campaigns.create("company/enrich", { ...list, maxCredits: 5000 })
 *   for await (const { progress, state } of campaigns.watch(campaignId)) console.log(state, progress.jobs)
 *   await writeFile("companies.jsonl.gz", await campaigns.results(campaignId))
 * }
 */
import type { InputFormat } from "./Campaign.js"
import type { CallOptions } from "./Client.js"
import type { HostedCampaign, HostedCampaignState } from "./HostedCampaign.js"
import * as Answers from "./internal/Answers.js"
import * as Following from "./internal/Following.js"
import * as HostedCampaigns from "./internal/HostedCampaigns.js"
import { checkId } from "./internal/ServiceArguments.js"
import { Service } from "./internal/Service.js"
import type { Format } from "./Receipt.js"
import type { RetrievalsSettings } from "./Settings.js"
import type { JobKind } from "./Submit.js"

/** How far a campaign may go. */
export interface CampaignLimits extends CallOptions {
  /** Jobs active at a time, at most. Default: 4 of the 5 that an account may have. */
  readonly maxActive?: number | undefined
  /** Credits that it may cost all in all: what might cost more fails before anything is sent. Default: the balance. */
  readonly maxCredits?: number | undefined
}

/** What a campaign is. */
export interface HandInOptions extends CampaignLimits {
  /** The list. What is read as it is sent is sent once only; a text and bytes are sent again where that helps. */
  readonly input: string | Uint8Array | AsyncIterable<Uint8Array>
  readonly inputFormat: InputFormat
  /** The column, or the field, that holds the identifiers; plain lines need none. */
  readonly column?: string | undefined
  /** The property that the identifiers are, such as `domains`, where the kind takes several. */
  readonly as?: string | undefined
  /** The fields to ask for. */
  readonly fields?: ReadonlyArray<string> | undefined
  /** Of the result; default `jsonl.gz`. */
  readonly format?: Format | undefined
  /** One line per input row, with its record, instead of the records as they came. */
  readonly join?: boolean | undefined
  /** The same list under another name is another campaign. */
  readonly name?: string | undefined
}

/** Which campaigns to list. */
export interface ListCampaignsOptions extends CallOptions {
  readonly state?: HostedCampaignState | undefined
  /** Campaigns at most. Default: all; pages are asked for as they are read. */
  readonly limit?: number | undefined
}

const mediaTypes: Readonly<Record<InputFormat, string>> = {
  csv: "text/csv",
  tsv: "text/tab-separated-values",
  jsonl: "application/x-ndjson",
  lines: "text/plain"
}

/** The campaigns of a service. There is nothing to close. */
export class CampaignsClient {
  readonly #service: Service

  /** Nothing happens until the first call. A setting that cannot be used is an `InvalidSetting` of every call. */
  constructor(settings: RetrievalsSettings = {}) {
    this.#service = new Service(settings)
  }

  /**
   * Hands in a list. The same list, kind, options and name is the same campaign, which is given as it is, whatever its state;
   * so the same call again does no harm. Without `maxCredits` it is bounded by the balance alone.
   */
  async create(kind: JobKind, options: HandInOptions): Promise<HostedCampaign> {
    const { as, column, fields, format, input, inputFormat, join, maxActive, maxCredits, name, signal } =
      options
    const isWhole = typeof input === "string" || input instanceof Uint8Array
    return HostedCampaigns.one(
      await this.#service.json({
        method: "POST",
        path: "campaigns",
        query: {
          kind,
          column,
          as,
          fields: fields?.join(","),
          format,
          join: join === undefined ? undefined : String(join),
          name,
          max_active: text(maxActive),
          ...(maxCredits === undefined ? { yes: "true" } : { max_credits: text(maxCredits) })
        },
        content: { type: mediaTypes[inputFormat], body: isWhole ? input : ReadableStream.from(input) },
        subject: { kind: "campaign", id: undefined },
        signal,
        repeatable: isWhole
      })
    )
  }

  /** The campaign as it is now. */
  get(id: string, { signal }: CallOptions = {}): Promise<HostedCampaign> {
    return this.#ask("GET", id, "", { signal })
  }

  /** The account's campaigns. */
  list({ limit = Infinity, signal, state }: ListCampaignsOptions = {}): AsyncGenerator<
    HostedCampaign,
    void,
    undefined
  > {
    const query = { state }
    return Answers.list(this.#service, {
      path: "campaigns",
      query,
      limit,
      read: HostedCampaigns.page,
      signal
    })
  }

  /**
   * The campaign as it is, then at every change, and last when it has ended, which ends the iteration. A connection that
   * breaks is made again; only when that fails for about five minutes the failure is thrown.
   */
  async *watch(id: string, { signal }: CallOptions = {}): AsyncGenerator<HostedCampaign, void, undefined> {
    checkId("id", id)
    const path = `campaigns/${id}/events`
    const subject = { kind: "campaign", id } as const
    yield* Following.follow(this.#service, { path, subject, read: HostedCampaigns.parsed, signal })
  }

  /** The joined result of a campaign that is `done`, as it comes; any other is a `CampaignConflict`. */
  results(id: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.#file(id, "results", options)
  }

  /** What became of each row, as CSV: `row,identifier,fate,reason,batch_id,duplicate_of`. */
  fates(id: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.#file(id, "fates", options)
  }

  /** The rows that are worth submitting again, as CSV in the list's own columns. */
  remainder(id: string, options: CallOptions = {}): Promise<ReadableStream<Uint8Array>> {
    return this.#file(id, "remainder", options)
  }

  /** Stops it: no more is submitted, and jobs that run go on at the API. One that has ended is a `CampaignConflict`. */
  stop(id: string, { signal }: CallOptions = {}): Promise<HostedCampaign> {
    return this.#ask("DELETE", id, "", { signal })
  }

  /**
   * Goes on with one that has failed, was stopped, or is done and not complete: what failed is submitted again, which costs
   * again. Limits that are given replace those before. Any other is a `CampaignConflict`.
   */
  retry(id: string, { maxActive, maxCredits, signal }: CampaignLimits = {}): Promise<HostedCampaign> {
    const query = { max_active: text(maxActive), max_credits: text(maxCredits) }
    return this.#ask("POST", id, "/retry", { query, signal })
  }

  async #ask(
    method: "GET" | "POST" | "DELETE",
    id: string,
    what: string,
    more: {
      readonly query?: Readonly<Record<string, string | undefined>>
      readonly signal: AbortSignal | undefined
    }
  ): Promise<HostedCampaign> {
    checkId("id", id)
    const path = `campaigns/${id}${what}`
    const subject = { kind: "campaign", id } as const
    return HostedCampaigns.one(
      await this.#service.json({ method, path, subject, repeatable: method === "GET", ...more })
    )
  }

  async #file(id: string, name: string, { signal }: CallOptions): Promise<ReadableStream<Uint8Array>> {
    checkId("id", id)
    const { body } = await this.#service.open({
      method: "GET",
      path: `campaigns/${id}/${name}`,
      headers: { accept: "*/*", "accept-encoding": "identity" },
      subject: { kind: "campaign", id },
      signal,
      repeatable: true
    })
    return body ?? ReadableStream.from<Uint8Array>([])
  }
}

const text = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : String(value)
