/**
 * What is sent to start a job: the API's own body for each kind. Properties that are not named here are passed on.
 *
 * @example
 * import { Client, SubmitUnknown } from "@org/batch-client"
 *
 * const start = async (client: Client, domains: ReadonlyArray<string>) => {
 *   try {
 *     return (await client.submit("company/enrich", { domains, fields: ["basic_info"] })).batchId
 *   } catch (error) {
 *     if (error instanceof SubmitUnknown) console.error(`${error.message}: look before you send it again`)
 *     throw error
 *   }
 * }
 */
import type { Failure } from "./BatchError.js"

/** Whatever else the API may take. */
interface More {
  readonly [property: string]: unknown
}

interface Common extends More {
  /** Is called when the job ends. */
  readonly webhook_url?: string | undefined
}

interface Enrich extends Common {
  /** What is wanted, beside what comes anyway. */
  readonly fields?: ReadonlyArray<string> | undefined
  /** Inputs a chunk, 10 to 1,000. */
  readonly chunk_size?: number | undefined
}

interface Profiles extends More {
  readonly professional_network_profile_urls?: ReadonlyArray<string> | undefined
}

/** A search's conditions: groups of groups and leaves. */
export type Condition = ConditionGroup | ConditionLeaf

/** What stands at the top of `filters`, even with one condition alone. */
export interface ConditionGroup {
  readonly op: "and" | "or"
  readonly conditions: ReadonlyArray<Condition>
}

/** One condition. The API has `=>` and `=<`, and no `>=` and `<=`. */
export interface ConditionLeaf {
  readonly field: string
  readonly type: string
  readonly value?: unknown
}

interface Query extends Common {
  readonly fields?: ReadonlyArray<string> | undefined
  readonly filters?: ConditionGroup | undefined
  /** Records at most; each may cost credits. Default: as many as a job may have. */
  readonly max_results?: number | undefined
}

/** A search in the vendor's data: at most 10,000 records. */
export interface SearchBody extends Query {
  readonly sorts?: ReadonlyArray<{ readonly field: string; readonly order: "asc" | "desc" }> | undefined
  readonly limit_per_page?: number | undefined
}

/** A live search: at most 1,000 records, by `filters` or by the URL of a search. */
export interface LiveSearchBody extends Query {
  readonly professional_network_search_url?: string | undefined
}

/** The kinds of job with their bodies. Identifiers are of exactly one property. */
export interface SubmitBodies {
  /** At most 10,000 inputs. */
  readonly "company/enrich": Enrich &
    Profiles & {
      readonly names?: ReadonlyArray<string> | undefined
      readonly domains?: ReadonlyArray<string> | undefined
      readonly crustdata_company_ids?: ReadonlyArray<number | string> | undefined
    }
  readonly "company/search": SearchBody
  readonly "company/search-live": LiveSearchBody
  /** At most 10,000 inputs. */
  readonly "person/enrich": Enrich &
    Profiles & { readonly business_emails?: ReadonlyArray<string> | undefined }
  /** At most 300 inputs. */
  readonly "person/enrich-live": Enrich & Profiles
  readonly "person/search": SearchBody
  readonly "person/search-live": LiveSearchBody
  /** At most 300 inputs. */
  readonly "person/contact-enrich": Enrich &
    Profiles & { readonly fields: ReadonlyArray<string>; readonly verified?: boolean | undefined }
  /** At most 300 inputs. */
  readonly "person/identify": Common &
    Profiles & {
      readonly emails?: ReadonlyArray<string> | undefined
      readonly business_emails?: ReadonlyArray<string> | undefined
    }
  /** At most 10 inputs. */
  readonly "person/verify": Common & Profiles
  /** At most 10 companies. */
  readonly "job/search": Common & {
    readonly crustdata_company_ids?: ReadonlyArray<number> | undefined
    readonly fields?: ReadonlyArray<string> | undefined
  }
  /** At most 10 inputs. */
  readonly "social-post/enrich-live": Common &
    Profiles & {
      readonly company_domains?: ReadonlyArray<string> | undefined
      readonly company_names?: ReadonlyArray<string> | undefined
      readonly company_professional_network_urls?: ReadonlyArray<string> | undefined
      readonly crustdata_company_ids?: ReadonlyArray<number | string> | undefined
      readonly social_post_urls?: ReadonlyArray<string> | undefined
      readonly post_types?: unknown
      readonly limit?: number | undefined
      readonly max_comments?: number | undefined
      readonly max_reactors?: number | undefined
      readonly chunk_size?: number | undefined
    }
}

/** The kinds of job: `company/enrich`, … */
export type JobKind = keyof SubmitBodies

/** What the account may do now, from the API's free calls; what could not be asked is `undefined`. */
export interface Preflight {
  /** The balance, which may be fractional. */
  readonly credits: number | undefined
  /** Whether the plan includes the kind of job that was asked about. */
  readonly entitled: boolean | undefined
  /** Requests a minute of the key over all paths. */
  readonly requestsPerMinute: number | undefined
  /** Jobs that are pending or processing. */
  readonly activeJobs: number | undefined
  /** Why one of the others could not be asked, if so. */
  readonly failures: ReadonlyArray<Failure>
}
