/**
 * The readiness check: the upstream answers, the temporary folder, where CSV is spooled, can be written, and the store of
 * retrievals answers, if it is open. The result of the first two is cached for a while, so that probes cost the account
 * next to nothing; while the next check is under way, probes get the last result.
 */
import { FileSystem, type HttpClient } from "@effect/platform"
import * as BatchClient from "@org/batch-core/BatchClient"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { BatchHttp, explain, layer as batchHttp } from "@org/batch-core/BatchHttp"
import * as Monotonic from "@org/batch-core/Monotonic"
import { Context, Duration, Effect, Layer, Option } from "effect"
import { isPassThrough } from "./Settings.js"
import { RetrievalStore } from "./RetrievalStore.js"
import { Shutdown } from "./Shutdown.js"

/** The result of a check. */
export interface State {
  readonly status: "ready" | "draining" | "unusable"
  readonly upstream: string
  readonly storage: string
  readonly store: string
}

/** The readiness of the service; `check` fails with the state if it is not ready. */
export class Readiness extends Context.Tag("@org/batch-server/Readiness")<
  Readiness,
  { readonly check: Effect.Effect<State, State> }
>() {}

const fine = "ok" as const

/** The store where nothing was handed over yet. */
const unopened = "not in use" as const

/** What the process says of itself without a look at anything else. */
export const health = Effect.flatMap(RetrievalStore, ({ opened }) =>
  Effect.map(opened, (store) => ({
    status: fine,
    store: Option.isSome(store) ? ("open" as const) : unopened
  }))
)

/** How long a result is cached. */
const holds = { good: Duration.seconds(60), bad: Duration.seconds(5) }

/** How long a check may take, so that a probe has its answer within two seconds. */
const patience = Duration.millis(1800)

const within = (what: string, check: Effect.Effect<string>): Effect.Effect<string> =>
  Effect.timeoutTo(check, {
    duration: patience,
    onSuccess: (told) => told,
    onTimeout: () => `${what} did not answer within ${Duration.format(patience)}`
  })

/**
 * Asks the upstream once for a page of one job; without a key, where that is refused, any answer below 500 will do.
 */
const askUpstream: Effect.Effect<string, never, BatchConfig | BatchHttp> = Effect.gen(function* () {
  const config = yield* BatchConfig
  const { files } = yield* BatchHttp
  if (!isPassThrough(config)) {
    const once = { ...config, retry: { ...config.retry, limit: 0, attemptTimeout: patience } }
    const { page } = yield* Effect.provideService(BatchClient.make, BatchConfig, once)
    return yield* Effect.match(page({ limit: 1 }), {
      onSuccess: () => fine,
      onFailure: ({ message }) => message
    })
  }
  return yield* files.get(`${config.baseUrl}/batch`).pipe(
    Effect.match({
      onSuccess: ({ status }) => (status < 500 ? fine : `the API answered HTTP ${status}`),
      onFailure: (error) => explain(error).detail
    }),
    Effect.scoped
  )
})

const askStorage: Effect.Effect<string, never, FileSystem.FileSystem> = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempFileScoped({ prefix: "batch-server-" })
  yield* fs.writeFileString(path, "ready")
  return fine
}).pipe(
  Effect.scoped,
  Effect.catchAll((error) => Effect.succeed(`the temporary folder cannot be written: ${error.message}`))
)

const askStore: Effect.Effect<string, never, RetrievalStore> = Effect.gen(function* () {
  const store = yield* Effect.flatMap(RetrievalStore, ({ opened }) => opened)
  if (Option.isNone(store)) return unopened
  return yield* Effect.match(store.value.retrievals.ping, {
    onSuccess: () => fine,
    onFailure: ({ message }) => message
  })
})

/** What of the state is cached. */
type Cached = Omit<State, "store">

/** What is found, and until when it holds; nothing at first. */
interface Finding {
  readonly state: Option.Option<Cached>
  readonly until: number
}

/** A check that runs when somebody asks, at most one at a time, and caches its result. */
export const layer: Layer.Layer<
  Readiness,
  never,
  BatchConfig | Shutdown | FileSystem.FileSystem | HttpClient.HttpClient | RetrievalStore
> = Layer.effect(
  Readiness,
  Effect.gen(function* () {
    const { isStarted } = yield* Shutdown
    const turn = yield* Effect.makeSemaphore(1)
    const needs = yield* Effect.context<BatchConfig | BatchHttp | FileSystem.FileSystem | RetrievalStore>()
    let found: Finding = { state: Option.none(), until: 0 }
    const look = Effect.gen(function* () {
      const now = yield* Monotonic.now
      if (Option.isSome(found.state) && now < found.until) return found.state.value
      const [upstream, storage] = yield* Effect.all(
        [
          within("the API", Effect.provide(askUpstream, needs)),
          within("the temporary folder", Effect.provide(askStorage, needs))
        ],
        { concurrency: 2 }
      )
      const status = upstream === fine && storage === fine ? "ready" : "unusable"
      const state: Cached = { status, upstream, storage }
      const after = Duration.toMillis(status === "ready" ? holds.good : holds.bad)
      found = { state: Option.some(state), until: (yield* Monotonic.now) + after }
      return state
    })
    const latest = Effect.flatMap(turn.withPermitsIfAvailable(1)(look), (looked) =>
      Option.match(
        Option.orElse(looked, () => found.state),
        {
          onNone: () => turn.withPermits(1)(look),
          onSome: Effect.succeed
        }
      )
    )
    const check = Effect.gen(function* () {
      const [cached, store] = yield* Effect.all(
        [latest, within("the store", Effect.provide(askStore, needs))],
        { concurrency: 2 }
      )
      const isStoreFine = store === fine || store === unopened
      const state: State = { ...cached, ...(isStoreFine ? {} : { status: "unusable" }), store }
      if (isStarted()) return yield* Effect.fail<State>({ ...state, status: "draining" })
      return yield* state.status === "ready" ? Effect.succeed(state) : Effect.fail(state)
    })
    return { check }
  })
).pipe(Layer.provide(batchHttp))
