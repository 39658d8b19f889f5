/** The tables of a release to come: one version more, which takes its time. */
import { versions as known } from "../src/Tables.js"

/** The statements of each version. */
export const versions: ReadonlyArray<ReadonlyArray<string>> = [
  ...known,
  [
    `ALTER TABLE batch.retrieval ADD COLUMN colour text`,
    `SELECT pg_sleep(1.5)`,
    `CREATE INDEX retrieval_colour ON batch.retrieval (colour)`
  ]
]
