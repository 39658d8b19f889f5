/**
 * The store of retrievals and campaigns, which is opened when the first one is handed over, or at the start where there is
 * one already. Until then nothing of its engine is loaded, written or opened.
 */
import {
  FileSystem,
  type HttpClient,
  type HttpServerRequest,
  type HttpServerResponse,
  type Path
} from "@effect/platform"
import type { BatchId } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { Account, type Campaigns, type RetrievalError, type Retrievals } from "@org/batch-durable"
import * as Address from "@org/batch-node/Address"
import {
  Clock,
  Context,
  Duration,
  Effect,
  Either,
  ExecutionStrategy,
  Exit,
  Fiber,
  Layer,
  Option,
  Redacted,
  Scope,
  Stream
} from "effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { bearer } from "./Access.js"
import * as Events from "./Events.js"
import { fromRetrievalError, Problem } from "./Problem.js"
import type { StorePlace } from "./RetrievalSettings.js"
import { isPassThrough, ServerSettings, SettingsError } from "./Settings.js"
import { Shutdown } from "./Shutdown.js"

/** What is in an open store. */
export interface Opened {
  readonly retrievals: Retrievals.Service
  readonly campaigns: Campaigns.Service
}

/** The store of retrievals and campaigns. */
export class RetrievalStore extends Context.Tag("@org/batch-server/RetrievalStore")<
  RetrievalStore,
  {
    /** Opens the store, and makes it where there is none. Fails with 503 where that is refused. */
    readonly open: Effect.Effect<Opened, Problem>
    /** What is in it, if there is a store. */
    readonly existing: Effect.Effect<Option.Option<Opened>, Problem>
    /** What is in it, if the store is open. */
    readonly opened: Effect.Effect<Option.Option<Opened>>
    /** Follows a hint that a batch has changed, unless there are too many; an open store only. */
    readonly hint: (batchId: BatchId) => Effect.Effect<void>
  }
>() {}

/** Whose retrievals and campaigns a caller has: those of the service's key, or of its own. */
export const accountOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<
  { readonly id: string; readonly key: Redacted.Redacted<string> | undefined },
  never,
  BatchConfig
> =>
  Effect.map(BatchConfig, (config) => {
    if (!isPassThrough(config)) return { id: Account.ofService, key: undefined }
    const key = Redacted.make(bearer(request))
    return { id: Account.ofKey(key), key }
  })

/** A call about one thing of a caller's in the store; fails where there is no store. */
export const withOne = <A, R>(
  request: HttpServerRequest.HttpServerRequest,
  absent: Problem,
  use: (opened: Opened, account: string) => Effect.Effect<A, Problem, R>
): Effect.Effect<A, Problem, R | RetrievalStore | BatchConfig> =>
  Effect.gen(function* () {
    const found = yield* Effect.flatMap(RetrievalStore, ({ existing }) => existing)
    if (Option.isNone(found)) return yield* absent
    const { id } = yield* accountOf(request)
    return yield* use(found.value, id)
  })

/** The events of one thing in the store, given its changes: whatever happens to it, until its end. */
export const events = <A>(
  { headers }: HttpServerRequest.HttpServerRequest,
  subject: Events.Subject<A>,
  changes: Stream.Stream<A, Parameters<typeof fromRetrievalError>[0]>
): Effect.Effect<HttpServerResponse.HttpServerResponse, Problem, Scope.Scope | Shutdown> =>
  Effect.flatMap(Shutdown, ({ started }) => {
    const news = changes.pipe(
      Stream.map(Either.right),
      Stream.mapError((error) => fromRetrievalError(error))
    )
    return Events.respond(subject, news, { lastId: headers["last-event-id"], cut: started })
  })

/** An empty database, beside the bundle; without it the first start takes longer. */
const seed = fileURLToPath(new URL("database.tar.gz", import.meta.url))

/** Hints that are followed in a second, whoever sends them. */
const hintsASecond = 20

/** When to ask again after the store could not be opened. */
const pause = Duration.seconds(30)

const homeless = "there is no home folder to keep retrievals in: name a folder, or an address of PostgreSQL"

type Needs =
  BatchConfig | HttpClient.HttpClient | FileSystem.FileSystem | Path.Path | ServerSettings | Shutdown

/** The store, which is open as long as the layer at most; opened at once where there is one already, or a worker needs it. */
export const layer: Layer.Layer<RetrievalStore, SettingsError | RetrievalError.StoreRefused, Needs> =
  Layer.scoped(
    RetrievalStore,
    Effect.gen(function* () {
      const { role, store } = (yield* ServerSettings).retrievals
      const fs = yield* FileSystem.FileSystem
      const scope = yield* Effect.scope
      const needs = yield* Effect.context<Needs>()
      const turn = yield* Effect.makeSemaphore(1)
      let known: Option.Option<Opened> = Option.none()

      const openOnce = Effect.gen(function* () {
        if (Option.isSome(known)) return known.value
        const own = yield* Scope.fork(scope, ExecutionStrategy.sequential)
        const made = yield* Effect.onError(Scope.extend(make, own), (cause) =>
          Scope.close(own, Exit.failCause(cause))
        )
        known = Option.some(made)
        return made
      }).pipe(turn.withPermits(1), Effect.provide(needs))
      // A caller that goes away ends it not: others may wait for it.
      const opening = Effect.flatMap(Effect.forkIn(openOnce, scope), Fiber.join)
      const open = Effect.suspend(() => (Option.isSome(known) ? Effect.succeed(known.value) : opening)).pipe(
        Effect.mapError(problemOf)
      )
      const isThere =
        store?.kind === "folder"
          ? Effect.orElseSucceed(fs.exists(join(store.folder, "db")), () => false)
          : Effect.succeed(store?.kind === "postgres")
      if (role === "worker" || (yield* isThere)) yield* openOnce
      let [second, hints] = [0, 0]
      const isWithinRate = Effect.map(Clock.currentTimeMillis, (now) => {
        if (Math.floor(now / 1000) !== second) [second, hints] = [Math.floor(now / 1000), 0]
        hints += 1
        return hints <= hintsASecond
      })
      const follow = (store: Retrievals.Service, batchId: BatchId) =>
        Effect.catchTag(store.hint(batchId), "StoreUnavailable", (error) =>
          Effect.logDebug(`a hint comes to nothing: ${error.message}`)
        )
      return {
        open,
        existing: Effect.flatMap(isThere, (there) => (there ? Effect.asSome(open) : Effect.succeedNone)),
        opened: Effect.sync(() => known),
        hint: (batchId) =>
          Effect.suspend(() =>
            Option.match(known, {
              onNone: () => Effect.void,
              onSome: ({ retrievals }) => Effect.whenEffect(follow(retrievals, batchId), isWithinRate)
            })
          )
      }
    })
  )

const problemOf = (error: SettingsError | RetrievalError.StoreRefused): Problem =>
  error._tag === "StoreRefused"
    ? fromRetrievalError(error, pause)
    : new Problem({ status: 503, type: "StoreRefused", message: error.message, retryAfter: pause })

/** Refuses a store whose engine was left out of the installation. */
const checkInstalled = ({ kind }: StorePlace): Effect.Effect<void, SettingsError> =>
  Effect.suspend(() => {
    const find = Option.liftThrowable((name: string) => import.meta.resolve(name))
    const missing = [kind === "folder" ? "@electric-sql/pglite" : "pg", "pg-boss"].filter((name) =>
      Option.isNone(find(name))
    )
    return missing.length === 0
      ? Effect.void
      : new SettingsError({
          setting: "BATCH_SERVER_STORE",
          detail: `retrievals need what was left out of this installation: npm install ${missing.join(" ")}`
        })
  })

/** What is in an open store, and a worker, as the role says; it hands over as soon as the shutdown starts. */
const make = Effect.gen(function* () {
  const settings = (yield* ServerSettings).retrievals
  const { folder, role, store } = settings
  if (store === undefined) {
    return yield* new SettingsError({ setting: "BATCH_SERVER_STORE", detail: homeless })
  }
  if (folder === undefined) {
    return yield* new SettingsError({
      setting: "BATCH_SERVER_FOLDER",
      detail: "there is no home folder to deliver to: name a folder"
    })
  }
  yield* checkInstalled(store)
  const config = yield* BatchConfig
  const { Campaigns, Embedded, Postgres, Reach, Retrievals, Settings, Worker } = yield* Effect.promise(
    () => import("@org/batch-durable")
  )
  const isPublic = yield* Address.isPublicHost(new URL(config.baseUrl).hostname)
  const base = Layer.merge(
    store.kind === "postgres" ? Postgres.layer(store.url) : Embedded.layer(store.folder, { seed }),
    Settings.layer({
      ...settings,
      folder,
      passThrough: isPassThrough(config),
      reach: Option.contains(isPublic, false)
        ? Reach.anywhere
        : Option.getOrElse(settings.reach, () => Reach.publicOnly)
    })
  )
  const context = yield* Layer.build(Layer.provideMerge(Layer.merge(Retrievals.layer, Campaigns.layer), base))
  if (role !== "api") {
    const { started } = yield* Shutdown
    const worker = Layer.launch(Layer.provide(Worker.layer, Account.layer))
    yield* Effect.forkScoped(Effect.raceFirst(Effect.provide(worker, context), started))
  }
  yield* Effect.logInfo("the store of retrievals is open", {
    store: store.kind === "folder" ? store.folder : "PostgreSQL",
    role
  })
  return {
    retrievals: Context.get(context, Retrievals.Retrievals),
    campaigns: Context.get(context, Campaigns.Campaigns)
  }
})
