/**
 * How long something may take.
 *
 * @example
 * import { Client } from "@org/batch-client"
 *
 * const wait = (client: Client, id: string) => client.wait(id, { timeout: "1h30m" })
 */

/** A text such as `500ms`, `30s`, `1m30s` or `2h`, or a number of seconds, of which `Infinity` is one. */
export type Duration = string | number
