/**
 * Clearing up: what stopped and dead downloads have left on the disk and in buckets, and rows whose time is over.
 */
import { Cause, Clock, Duration, Effect, Option, Schedule, Schema } from "effect"
import { readdir, rm, stat } from "node:fs/promises"
import * as CampaignFolder from "./CampaignFolder.js"
import { staging } from "./Destination.js"
import { Note } from "./Downloads.js"
import { Destination } from "./Retrieval.js"
import type { StoreUnavailable } from "./RetrievalError.js"
import { isUuid, parsed, text } from "./Rows.js"
import * as S3Delivery from "./S3Delivery.js"
import { Settings } from "./Settings.js"
import * as Step from "./Step.js"
import { type Row, type Service, Store } from "./Store.js"

/** Clears up every minute, for ever. */
export const run: Effect.Effect<void, never, Store | Settings> = Effect.gen(function* () {
  const store = yield* Store
  const settings = yield* Settings
  const all = [
    stages(store, settings),
    folders(store, settings),
    uploads(store, settings),
    expire(store, settings)
  ]
  yield* Effect.all(all).pipe(
    Effect.catchAllDefect((defect) => Effect.logError("housekeeping", Cause.die(defect))),
    Effect.catchTag("StoreUnavailable", () => Effect.void),
    Effect.repeat(Schedule.spaced("1 minute")),
    Effect.asVoid
  )
})

/** Removes what a retrieval has staged, and its unfinished upload, if it was cancelled. */
export const clearIfCancelled = (
  store: Service,
  settings: Settings["Type"],
  id: string
): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const [row] = yield* store.query(
      `SELECT id, destination, publishing FROM batch.retrieval WHERE id = $1 AND state = 'cancelled'`,
      [id]
    )
    if (row === undefined) return
    yield* Step.clear(settings, id)
    yield* abandon(store, settings, row)
  })

/** How long what a failed retrieval has staged is kept for its retry. */
const keptFor = Duration.hours(24)

/** Removes what lies staged of retrievals that have ended, or that are none of this store. */
const stages = (store: Service, settings: Settings["Type"]): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const folder = `${settings.folder}/${staging}`
    const names = yield* Effect.promise(() => readdir(folder).catch((): Array<string> => []))
    const ids = names.filter((name) => /^[\da-f-]{36}$/u.test(name)).slice(0, 10_000)
    if (ids.length === 0) return
    const rows = yield* store.query(
      `SELECT id FROM batch.retrieval WHERE id = ANY($1::uuid[]) AND (state IN ('waiting', 'running')
        OR (state = 'failed' AND updated_at > now() - $2::float8 * interval '1 ms'))`,
      [ids, Duration.toMillis(keptFor)]
    )
    const kept = new Set(rows.map(({ id }) => text(id)))
    yield* Effect.forEach(
      ids.filter((id) => !kept.has(id)),
      (id) => Step.clear(settings, id),
      { discard: true }
    )
  })

/** How long a list that is handed in may take to arrive. */
const arrival = Duration.hours(24)

/** Removes the folders of campaigns that are none of this store, and lists that never arrived. */
const folders = (store: Service, settings: Settings["Type"]): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const root = CampaignFolder.root(settings)
    const names = yield* Effect.promise(() => readdir(root).catch((): Array<string> => []))
    if (names.length === 0) return
    const rows = yield* store.query("SELECT id FROM batch.campaign WHERE id = ANY($1::uuid[])", [
      names.filter((name) => isUuid(name))
    ])
    const kept = new Set(rows.map(({ id }) => text(id)))
    const before = (yield* Clock.currentTimeMillis) - Duration.toMillis(arrival)
    const remove = async (name: string) => {
      const path = `${root}/${name}`
      const { mtimeMs } = await stat(path)
      if (mtimeMs < before) await rm(path, { recursive: true, force: true })
    }
    yield* Effect.forEach(
      names.filter((name) => !kept.has(name)),
      // Another process may remove it just now.
      (name) => Effect.promise(() => remove(name).catch(() => undefined)),
      { discard: true }
    )
  })

/** Aborts uploads of retrievals that have ended without them. */
const uploads = (store: Service, settings: Settings["Type"]): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const rows = yield* store.query(
      `SELECT id, destination, publishing FROM batch.retrieval WHERE state IN ('failed', 'cancelled')
        AND publishing ? 'upload' LIMIT 100`
    )
    yield* Effect.forEach(rows, (row) => abandon(store, settings, row), { discard: true })
  })

const readDestination = Schema.decodeUnknownOption(Destination)
const readNote = Schema.decodeUnknownOption(Note)

const abandon = (
  store: Service,
  { reach }: Settings["Type"],
  row: Row
): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    const destination = Option.getOrUndefined(readDestination(parsed(row["destination"])))
    const upload = Option.getOrUndefined(readNote(parsed(row["publishing"])))?.upload
    if (destination?.type !== "s3" || upload === undefined) return
    yield* S3Delivery.abort(destination, reach, upload).pipe(
      Effect.zipRight(
        store.query(
          `UPDATE batch.retrieval SET publishing = publishing - 'upload' WHERE id = $1 AND state <> 'running'`,
          [row["id"]]
        )
      ),
      Effect.catchTag("StorageError", (error) =>
        Effect.logWarning(`an unfinished upload could not be aborted: ${error.message}`)
      )
    )
  })

/** Removes what ended long ago, and the looks and calls that went with it. */
const expire = (store: Service, { retentionDays }: Settings["Type"]): Effect.Effect<void, StoreUnavailable> =>
  Effect.gen(function* () {
    yield* store.query(
      `DELETE FROM batch.retrieval WHERE id IN (SELECT id FROM batch.retrieval
        WHERE state IN ('done', 'failed', 'cancelled') AND updated_at < now() - $1::int * interval '1 day'
        LIMIT 1000)`,
      [retentionDays]
    )
    yield* store.query(
      `DELETE FROM batch.campaign WHERE id IN (SELECT id FROM batch.campaign
        WHERE state IN ('done', 'failed', 'cancelled') AND updated_at < now() - $1::int * interval '1 day'
        LIMIT 100)`,
      [retentionDays]
    )
    yield* store.query(
      `DELETE FROM batch.notification WHERE created_at < now() - least(7, $1::int) * interval '1 day'
        AND (state = 'delivered' OR created_at < now() - $1::int * interval '1 day')`,
      [retentionDays]
    )
    // What nobody could take for its own any more.
    yield* store.query(`DELETE FROM batch.submission WHERE created_at < now() - interval '2 days'`)
    yield* store.query(`DELETE FROM batch.look WHERE NOT open AND next_at < now() - interval '1 day'`)
  })
