/**
 * Completion calls to be made: put into the store in the transaction that ends a retrieval, so that there is a call for
 * each end and none without.
 */
import { json } from "./Rows.js"
import type { Sql } from "./Store.js"

/** Puts the calls of retrievals that have just ended, with the retrievals as they are now; none where nobody is to be told. */
export const put = async (sql: Sql, ids: ReadonlyArray<string>): Promise<void> => {
  if (ids.length === 0) return
  await sql.query(
    `INSERT INTO batch.notification (account, retrieval_id, url, body)
      SELECT r.account, r.id, r.notify_url, (${json})::text FROM batch.retrieval r
      WHERE r.id = ANY($1::uuid[]) AND r.notify_url IS NOT NULL`,
    [ids]
  )
}
