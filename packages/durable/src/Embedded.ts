/**
 * The store in a folder of this machine: PostgreSQL inside the process. One process may have it open. A confirmed
 * request survives a process that is killed; against loss of power it is as safe as the disk's `fsync`.
 *
 * @example
 * import { Embedded, Retrievals } from "@org/batch-durable"
 * import { Layer } from "effect"
 *
 * const retrievals = Layer.provide(Retrievals.layer, Embedded.layer("/var/lib/batch/store"))
 */
import { Effect, Layer, type Scope } from "effect"
import type { PGlite } from "@electric-sql/pglite"
import { access, mkdir, rename, rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as FolderLock from "./FolderLock.js"
import * as Migrations from "./Migrations.js"
import { StoreRefused, StoreUnavailable } from "./RetrievalError.js"
import { unpack } from "./Seed.js"
import * as Store from "./Store.js"

/** PostgreSQL's own parameters: every commit synced to the disk, and little memory. */
const parameters = [
  ["fsync", "on"],
  ["wal_sync_method", "fsync"],
  ["synchronous_commit", "on"],
  ["shared_buffers", "8MB"],
  ["wal_buffers", "256kB"],
  ["max_connections", "5"]
].flatMap(([name, value]) => ["-c", `${name}=${value}`])

/** An empty database, packed when this package was built; without it the first start takes much longer. */
const seed = fileURLToPath(new URL("../seed/database.tar.gz", import.meta.url))

/** How to open a folder. */
export interface Options {
  /** The packed empty database, for a program that was bundled into one file; default that of this package. */
  readonly seed?: string | undefined
}

/** Opens the store, creating it if the folder has none. */
export const layer = (folder: string, options: Options = {}): Layer.Layer<Store.Store, StoreRefused> =>
  Layer.scoped(Store.Store, make(folder, options))

const unusable = (place: string) => (cause: unknown) =>
  new StoreRefused({
    reason: "Unusable",
    place,
    detail: cause instanceof Error ? cause.message : String(cause)
  })

/** The engine seldom looks for lost jobs: nobody but this process can lose one, and it gives back what it cannot do. */
const engineOptions = { ...Store.engineOptions, superviseIntervalSeconds: 60, monitorIntervalSeconds: 60 }

/** Whoever held jobs is gone, since the folder is this process's alone: they are there for it at once. */
const abandon = `UPDATE batch_queue.job SET state = 'retry', start_after = now() WHERE state = 'active'`

/** Runs a statement. Without values it costs a third, and may be several. */
const execute =
  (on: Pick<PGlite, "exec" | "query">) =>
  async (text: string, values: ReadonlyArray<unknown> = []): Promise<{ readonly rows: Array<Store.Row> }> =>
    values.length > 0
      ? await on.query<Store.Row>(text, [...values])
      : { rows: (await on.exec(text)).flatMap(({ rows }) => rows) }

const make = (folder: string, options: Options) =>
  Effect.gen(function* () {
    yield* Effect.tryPromise({
      try: () => mkdir(folder, { recursive: true, mode: 0o700 }),
      catch: unusable(folder)
    })
    const lock = yield* FolderLock.acquire(folder)
    const db = yield* openDatabase(folder, options.seed ?? seed)
    const { fromPglite, PgBoss } = yield* Effect.promise(() => import("pg-boss"))
    const boss = new PgBoss({ db: fromPglite(db), backend: "pglite", ...engineOptions })
    /** Another process that took the folder while this one was stopped must not be written over. */
    const guarded = <A>(run: () => Promise<A>): Effect.Effect<A, StoreUnavailable> =>
      Effect.suspend(() => (lock.isOurs() ? Store.attempt(run) : taken))
    const transaction: Store.Service["transaction"] = (run) =>
      guarded(() =>
        db.transaction((tx) => {
          const executeSql = execute(tx)
          const query = async (text: string, values?: ReadonlyArray<unknown>) =>
            (await executeSql(text, values)).rows
          return run({ query, db: { executeSql } }, boss)
        })
      )
    const query: Store.Service["query"] = (text, values) =>
      guarded(async () => (await execute(db)(text, values)).rows)
    yield* Store.boot(boss).pipe(
      Effect.zipLeft(Migrations.run({ transaction })),
      Effect.zipLeft(query(abandon)),
      Store.opened(folder)
    )
    return {
      kind: "embedded" as const,
      place: folder,
      query,
      transaction,
      engine: <A>(call: (engine: typeof boss) => Promise<A>) => guarded(() => call(boss))
    }
  })

const taken = Effect.suspend(
  () =>
    new StoreUnavailable({
      detail: "another process has taken the folder while this one was stopped: end this one",
      retryAfter: Store.pause
    })
)

/** Opens the database; a new one gets its name when it is whole, so that a crash while it is made leaves none. */
const openDatabase = (folder: string, packed: string): Effect.Effect<PGlite, StoreRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const place = join(folder, "db")
    const isNew = yield* Effect.promise(() =>
      access(place).then(
        () => false,
        () => true
      )
    )
    if (isNew) {
      const unfinished = `${place}.tmp`
      yield* Effect.promise(() => rm(unfinished, { recursive: true, force: true }))
      const isPacked = yield* Effect.promise(() =>
        access(packed).then(
          () => true,
          () => false
        )
      )
      if (isPacked) {
        yield* Effect.tryPromise({ try: () => unpack(packed, unfinished), catch: unusable(folder) })
      } else {
        const made = yield* start(folder, unfinished)
        yield* Effect.promise(() => made.close())
      }
      yield* Effect.tryPromise({ try: () => rename(unfinished, place), catch: unusable(folder) })
    }
    return yield* Effect.acquireRelease(start(folder, place), (db) => Effect.promise(() => db.close()))
  })

const start = (folder: string, place: string): Effect.Effect<PGlite, StoreRefused> =>
  Effect.tryPromise({
    try: async () => {
      const [{ PGlite }, { FsyncFolder }] = await Promise.all([
        import("@electric-sql/pglite"),
        import("./FsyncFolder.js")
      ])
      return await PGlite.create({
        fs: new FsyncFolder(place),
        startParams: [...PGlite.defaultStartParams.filter((parameter) => parameter !== "-F"), ...parameters]
      })
    },
    catch: unusable(folder)
  })
