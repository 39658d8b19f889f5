/**
 * The row of a look at a batch, for whoever waits for its end.
 */
import type { Row, Sql } from "./Store.js"

/** A look at the batch is due, or was already. */
export const want = (sql: Sql, account: string, batchId: string): Promise<ReadonlyArray<Row>> =>
  sql.query(
    `INSERT INTO batch.look AS l (account, batch_id) VALUES ($1, $2)
      ON CONFLICT (account, batch_id) DO UPDATE SET open = true,
        requests = CASE WHEN l.open THEN l.requests ELSE 0 END,
        suspected = CASE WHEN l.open THEN l.suspected ELSE 0 END,
        began_at = CASE WHEN l.open THEN l.began_at ELSE clock_timestamp() END,
        status = CASE WHEN l.open THEN l.status ELSE NULL END,
        next_at = CASE WHEN l.open THEN l.next_at ELSE clock_timestamp() END,
        leased = l.open AND l.leased, urgent = l.urgent OR NOT l.open`,
    [account, batchId]
  )
