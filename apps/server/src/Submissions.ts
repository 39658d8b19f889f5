/**
 * Jobs that callers start. Each runs in a fiber of its own: a caller that goes away in the middle ends nothing between the
 * request and its answer, and a lost answer is looked for all the same. What callers name by an `Idempotency-Key` is kept
 * for a day, in the state folder if there is one.
 */
import { type FileSystem, type HttpServerRequest, HttpServerResponse, type Path } from "@effect/platform"
import { type Batch, type BatchId, toJson } from "@org/batch-core/Batch"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import * as Idempotency from "@org/batch-core/Idempotency"
import * as SubmitRequest from "@org/batch-core/SubmitRequest"
import { Context, Effect, Either, Fiber, Layer, Option, Predicate, Redacted } from "effect"
import * as Access from "./Access.js"
import { Accounts } from "./Account.js"
import * as JobBody from "./JobBody.js"
import { fromError, Problem } from "./Problem.js"
import * as RequestBody from "./RequestBody.js"
import * as RequestLog from "./RequestLog.js"
import * as Stored from "./RetrievalStore.js"
import { RetrievalStore } from "./RetrievalStore.js"
import { isPassThrough, ServerSettings, SettingsError } from "./Settings.js"
import { Shutdown } from "./Shutdown.js"

/** The jobs that callers start. */
export class Submissions extends Context.Tag("@org/batch-server/Submissions")<
  Submissions,
  {
    /** Starts a job of a kind with the body of a request, and gives the API's answer. */
    readonly submit: (
      kind: SubmitRequest.KindName,
      request: HttpServerRequest.HttpServerRequest
    ) => Effect.Effect<HttpServerResponse.HttpServerResponse, Problem>
  }
>() {}

/** The jobs that callers start, until the layer is closed. */
export const layer: Layer.Layer<
  Submissions,
  SettingsError,
  Accounts | BatchConfig | RetrievalStore | ServerSettings | Shutdown | FileSystem.FileSystem | Path.Path
> = Layer.scoped(
  Submissions,
  Effect.gen(function* () {
    const [accounts, config, shutdown] = [yield* Accounts, yield* BatchConfig, yield* Shutdown]
    const { opened } = yield* RetrievalStore
    const keys = yield* kept
    const scope = yield* Effect.scope

    const accountOf = (request: HttpServerRequest.HttpServerRequest): string => {
      const own = Option.match(config.apiKey, { onNone: () => "", onSome: Redacted.value })
      return `${config.baseUrl}\n${isPassThrough(config) ? Access.bearer(request) : own}`
    }

    /** Whether a campaign of an account has submitted a job; one that is in no open store knows of none. */
    const isInStore = (account: string) => (batchId: BatchId) =>
      Effect.flatMap(
        opened,
        Option.match({
          onNone: () => Effect.succeed(false),
          onSome: ({ campaigns }) =>
            campaigns.claimed(account).pipe(
              Effect.map((jobs) => jobs.has(batchId.toLowerCase())),
              // What the store does not tell may be so.
              Effect.timeoutTo({ duration: "5 seconds", onSuccess: (isSo) => isSo, onTimeout: () => true })
            )
        })
      )

    /** Tells the campaigns of an account of its job, where the store is open: nobody waits for that. */
    const noted = (account: string, batchId: BatchId) =>
      Effect.flatMap(
        opened,
        Option.match({
          onNone: () => Effect.void,
          onSome: ({ campaigns }) =>
            campaigns.submitted(account, batchId).pipe(
              Effect.catchTag("StoreUnavailable", (error) =>
                Effect.logDebug(`campaigns are not told of job ${batchId}: ${error.message}`)
              ),
              Effect.forkIn(scope),
              Effect.asVoid
            )
        })
      )

    /** Counts as a request under way, so that a shutdown waits for it even when its caller has gone. */
    const detached = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      Effect.sync(shutdown.requestStarted).pipe(
        Effect.zipRight(effect),
        Effect.ensuring(Effect.sync(shutdown.requestEnded)),
        Effect.interruptible,
        Effect.forkIn(scope),
        Effect.flatMap(Fiber.join)
      )

    return {
      submit: (kind, request) =>
        Effect.gen(function* () {
          const key = yield* keyOf(request)
          const body = yield* RequestBody.json(request)
          const checked = yield* Either.mapLeft(SubmitRequest.check(kind, body), fromError)
          const started = Effect.gen(function* () {
            const { session } = yield* accounts.of(request)
            const { id } = yield* Effect.provideService(Stored.accountOf(request), BatchConfig, config)
            const isClaimed = isInStore(id)
            const options = { key, account: accountOf(request), until: shutdown.started, isClaimed }
            const batch = yield* Effect.mapError(
              Effect.provide(keys.submit(checked, options), session),
              problemOf
            )
            yield* tell(kind, batch)
            yield* noted(id, batch.batchId)
            return batch
          }).pipe(Effect.scoped)
          const batch = yield* detached(started)
          RequestLog.upstream(request, batch.requestId)
          return respond(batch)
        })
    }
  })
)

/** Keys in the state folder; in memory where there is none, or none that can be used and none that was asked for. */
const kept = Effect.gen(function* () {
  const { state } = yield* ServerSettings
  if (state === undefined) return yield* Effect.orDie(Idempotency.make({}))
  const folder = `${state.folder}/submits`
  return yield* Effect.catchAll(Idempotency.make({ folder }), (error) =>
    state.isAsked
      ? new SettingsError({ setting: "BATCH_SERVER_STATE", detail: error.message })
      : Effect.zipRight(
          Effect.logWarning(
            `idempotency keys are kept in memory only, and end with this process: ${error.message}; BATCH_SERVER_STATE may name another folder`
          ),
          Effect.orDie(Idempotency.make({}))
        )
  )
})

const problemOf = (error: Idempotency.KeyedError): Problem =>
  error._tag === "KeyReused"
    ? new Problem({ status: 422, type: "IdempotencyKeyReused", message: error.message })
    : fromError(error)

const tell = (kind: string, batch: Batch): Effect.Effect<void> =>
  Effect.logInfo(`job ${batch.batchId} accepted`, {
    batch_id: batch.batchId,
    kind,
    inputs: batch.identifierCount,
    ...Option.match(batch.requestId, { onNone: () => ({}), onSome: (id) => ({ upstream_request_id: id }) })
  })

/** What was found among the jobs has no `status_url` of its own. */
const respond = (batch: Batch): HttpServerResponse.HttpServerResponse => {
  const json = toJson(batch, { showUrls: true })
  const { batchId } = batch
  return JobBody.json(
    JSON.stringify({ status_url: `/batch/${batchId}`, ...(Predicate.isRecord(json) ? json : {}) })
  )
}

const refused = (status: number, type: string, message: string): Problem =>
  new Problem({ status, type, message })

/** The `Idempotency-Key` of a request; 400 for one that is no key. */
export const keyOf = ({
  headers
}: HttpServerRequest.HttpServerRequest): Effect.Effect<Option.Option<string>, Problem> => {
  const key = headers["idempotency-key"]
  if (key === undefined) return Effect.succeedNone
  return /^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/u.test(key)
    ? Effect.succeedSome(key)
    : refused(
        400,
        "RequestRejected",
        "Idempotency-Key: expected 1 to 255 printable ASCII characters, such as a UUID"
      )
}
