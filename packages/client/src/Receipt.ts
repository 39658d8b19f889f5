/**
 * What was delivered, and the proof.
 *
 * @example
 * import { Client, type Receipt } from "@org/batch-client"
 *
 * const tell = ({ output, records, sha256 }: Receipt) => `${records} rows in ${output}, SHA-256 ${sha256}`
 * const fetched = async (client: Client, id: string) => tell(await client.get(id, { output: "rows.jsonl.gz" }))
 */

/** The form of a results file, which is also the extension of its name. */
export type Format = "jsonl.gz" | "jsonl" | "csv"

/** What was delivered, and the proof. In the file `<output>.receipt.json` its names are written like `batch_id`. */
export interface Receipt {
  readonly batchId: string
  readonly status: string
  /** The file, or the folder of the parts. */
  readonly output: string
  readonly format: Format
  /** Of `csv`: the columns that were asked for; absent where it has those of all rows. */
  readonly columns: ReadonlyArray<string> | undefined
  /** Size of the file at `output`; of all parts together when they are kept separate. */
  readonly bytes: number
  /** Rows delivered: lines that are not blank, or those of a table without its header. */
  readonly records: number
  /** Lines among the rows that hold nothing. */
  readonly blankLines: number
  /** SHA-256 of the file at `output`, in hexadecimal; of all parts in order when they are kept separate. */
  readonly sha256: string
  /** Lines that the API announced. */
  readonly resultCount: number
  readonly entitiesRequested: number
  readonly entitiesFulfilled: number
  /** Whether `records` equals `resultCount`, with the blank lines or without them. */
  readonly complete: boolean
  /** Whether plain lines were delivered and compressed here. */
  readonly compressedHere: boolean
  /** What was fetched: the merged file, the parts, or nothing because the result is empty. */
  readonly source: "merged" | "parts" | "none"
  readonly parts: ReadonlyArray<Part>
  /** Compressed bytes that an earlier run had already brought. */
  readonly resumedBytes: number
  /** Requests for files that were tried again. */
  readonly retries: number
  /** How often fresh links were asked for. */
  readonly urlRefreshes: number
  /** The id by which the vendor knows the request that said what there is to fetch, if the answer had one. */
  readonly requestId: string | undefined
  /** When the delivery began: after the job was completed. */
  readonly startedAt: Date
  readonly finishedAt: Date
}

/** One file as it was fetched: the merged file, or a part. */
export interface Part {
  /** Its place among the files, from 0. */
  readonly index: number
  /** Bytes as delivered. */
  readonly bytes: number
  readonly records: number
  /** The version of the object that was fetched; empty when the server named none. */
  readonly etag: string
  /** SHA-256 of its bytes, in hexadecimal, when parts are kept separate. */
  readonly sha256: string | undefined
  /** Where it lies, when parts are kept separate. */
  readonly output: string | undefined
}

/** What was found of one result on the disk: nothing that could be checked is wrong. */
export interface Verification {
  /** The file; of part files their folder. */
  readonly file: string
  readonly bytes: number
  readonly records: number
  /** In hexadecimal. */
  readonly sha256: string
  /** Whether it is what its receipt says. Without one nobody knows whose rows these are, and whether they are all. */
  readonly verified: boolean
  readonly receipt: Receipt | undefined
}
