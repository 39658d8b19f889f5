/**
 * The settings of a client. What is not given comes from the environment (`CRUSTDATA_API_KEY`, `CRUSTDATA_BASE_URL`,
 * `BATCH_POLL_MAX_DELAY` …), and otherwise has its default: see `docs/settings.md`.
 *
 * @example
 * import { Client } from "@org/batch-client"
 *
 * const patient = () => new Client({ apiKey: "key", poll: { maxDelay: "1m" }, retry: { limit: 5 } })
 */
import type { Duration } from "./Duration.js"

/** The settings of a client. */
export interface Settings {
  /** Sent to the API's host and to nothing else. Default: `CRUSTDATA_API_KEY`. */
  readonly apiKey?: string | undefined
  /** Root of the API. Default: `CRUSTDATA_BASE_URL`, otherwise `https://api.crustdata.com`. */
  readonly baseUrl?: string | undefined
  readonly poll?: PollSettings | undefined
  readonly retry?: RetrySettings | undefined
  readonly transfer?: TransferSettings | undefined
}

/** The cadence of polling. */
export interface PollSettings {
  /** First pause between two polls. */
  readonly initialDelay?: Duration | undefined
  /** Growth of the pause from poll to poll. */
  readonly factor?: number | undefined
  /** Longest pause between two polls, until `slowAfter`. */
  readonly maxDelay?: Duration | undefined
  /** How long a wait must last before pauses may grow up to `slowMaxDelay`. */
  readonly slowAfter?: Duration | undefined
  /** Longest pause between two polls of a long wait. */
  readonly slowMaxDelay?: Duration | undefined
  /** Shortest pause between two polls. */
  readonly minDelay?: Duration | undefined
  /** Longest pause that a server may ask for during a wait. */
  readonly maxHint?: Duration | undefined
  /** Unknown states in a row before a wait tells of it. */
  readonly unknownStatusLimit?: number | undefined
}

/** The retry of one request of the API. */
export interface RetrySettings {
  /** Retries of one request. */
  readonly limit?: number | undefined
  /** First pause before a retry, doubled each time. */
  readonly baseDelay?: Duration | undefined
  /** Longest pause before a retry. */
  readonly maxDelay?: Duration | undefined
  /** First pause before a retry of a 429. */
  readonly throttledBaseDelay?: Duration | undefined
  /** Longest pause before a retry of a 429. */
  readonly throttledMaxDelay?: Duration | undefined
  /** Longest pause that a server may ask for; beyond it the call fails as `RateLimited`. */
  readonly maxRetryAfter?: Duration | undefined
  /** Longest time for one attempt. */
  readonly attemptTimeout?: Duration | undefined
  /** Retry tokens that all calls share. */
  readonly budget?: number | undefined
  /** Tokens that a retry takes. */
  readonly cost?: number | undefined
  /** Tokens that a retry after a timeout takes. */
  readonly timeoutCost?: number | undefined
}

/** How results are fetched. */
export interface TransferSettings {
  /** Longest silence of the file host while bytes are wanted. */
  readonly idleTimeout?: Duration | undefined
  /** Retries without durable progress. */
  readonly retries?: number | undefined
  /** Connections at the start. */
  readonly initialConnections?: number | undefined
  /** Connections at most. */
  readonly maxConnections?: number | undefined
  /** How long before its expiry a link is renewed. */
  readonly refreshBefore?: Duration | undefined
  /** Fresh links without progress before the results count as expired. */
  readonly maxRefreshes?: number | undefined
  /** How long a completed job may lack its links, its object or its last rows. */
  readonly settle?: Duration | undefined
  /** Temporary redirects followed for one request. */
  readonly maxRedirects?: number | undefined
  /** Bytes gathered for one write. */
  readonly blockBytes?: number | undefined
  /** Size of the cells that parallel connections share out. */
  readonly cellBytes?: number | undefined
  /** Bytes written before they are synced to the disk. */
  readonly syncBytes?: number | undefined
  /** Longest time before written bytes are synced to the disk. */
  readonly syncInterval?: Duration | undefined
  /** How long a lock must not have been touched before it counts as left behind by a crash. */
  readonly lockPatience?: Duration | undefined
  /** Longest line of a result, in bytes. */
  readonly maxLineBytes?: number | undefined
}

/** Where the service is that carries out retrievals. */
export interface RetrievalsSettings {
  /** Root of the service. Default: `BATCH_SERVER_URL`. */
  readonly url?: string | undefined
  /** Sent to the service as `Authorization: Bearer …`. Default: `BATCH_SERVER_TOKEN`; a service on loopback may need none. */
  readonly token?: string | undefined
  /** Does the requests, for example through a proxy. Default: the `fetch` of Node. */
  readonly fetch?: ((url: string, request: RequestInit) => Promise<Response>) | undefined
}
