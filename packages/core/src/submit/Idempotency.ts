/**
 * Submits under keys that callers choose: the same key again is the same job, for a day, through crashes and restarts. What
 * is about to be sent is on the disk before it is sent, so that a request whose answer is not known is looked for, and not
 * sent again.
 *
 * @example
 * import { Effect, Option } from "effect"
 * import { Idempotency, SubmitRequest } from "@org/batch-core"
 *
 * const program = Effect.gen(function* () {
 *   const { submit } = yield* Idempotency.make({ folder: "state/submits" })
 *   const request = yield* SubmitRequest.make("company/enrich", { domains: ["acme.com"] })
 *   return yield* submit(request, { account: "mine", key: Option.some("order-17") })
 * }).pipe(Effect.scoped)
 */
import { FileSystem, Path } from "@effect/platform"
import {
  Data,
  DateTime,
  Deferred,
  Duration,
  Effect,
  FiberId,
  Option,
  Schedule,
  Schema,
  type Scope
} from "effect"
import { sha256Of } from "../disk/Digest.js"
import * as Storage from "../disk/Storage.js"
import { type Batch, type BatchId, FromJson, toJson } from "../model/Batch.js"
import { StorageError, storageErrorAt, type SubmitError, SubmitUnknown } from "../model/BatchError.js"
import { JsonObject } from "../model/Masking.js"
import type { SubmitRequest } from "../model/SubmitRequest.js"
import { BatchClient } from "../status/BatchClient.js"
import * as Settlement from "./Settlement.js"

/** How long a key is kept. */
export const kept = Duration.hours(24)

/** Another request came under the same key. */
export class KeyReused extends Data.TaggedError("KeyReused")<{ readonly key: string }> {
  override get message(): string {
    return `the idempotency key ${JSON.stringify(this.key)} belongs to another request: a new request takes a new key`
  }
}

/** What a submit under a key can fail with. */
export type KeyedError = SubmitError | StorageError | KeyReused

/** How to submit. */
export interface SubmitOptions {
  /** Whose keys they are: keys of different accounts have nothing to do with each other. */
  readonly account: string
  /** None for a request of its own. */
  readonly key: Option.Option<string>
  /** When it is over, a lost answer is looked for no longer. Default: after two minutes. */
  readonly until?: Effect.Effect<void> | undefined
  /** Whether a job is known to come of a request that came elsewhere, so that it is not taken for this one's. */
  readonly isClaimed?: ((batchId: BatchId) => Effect.Effect<boolean>) | undefined
}

/** How a lost answer is looked for. */
type Looking = Pick<SubmitOptions, "isClaimed" | "until">

/** Submits under keys. */
export interface Service {
  /**
   * Starts a job once for each key. One whose answer is lost is looked for, and is `SubmitUnknown` if that does not tell; the
   * same key again looks again, and sends only what provably was not accepted. A refusal keeps nothing. Whoever comes
   * meanwhile with the same key waits for the first. Must not be interrupted lightly: run it in a fiber of its own.
   */
  readonly submit: (
    request: SubmitRequest,
    options: SubmitOptions
  ) => Effect.Effect<Batch, KeyedError, BatchClient>
}

/** What is kept of a key. */
const Kept = Schema.Struct({
  version: Schema.Literal(1),
  at: Schema.DateTimeUtc,
  /** Of path and body. */
  sha256: Schema.String,
  /** What may be accepted, and has no answer. */
  lost: Schema.optional(
    Schema.Struct({
      body: JsonObject,
      sentAt: Schema.DateTimeUtc,
      requestId: Schema.optional(Schema.String),
      /** Whether it is known when it was sent: an answer that was lost, not a process. */
      isSent: Schema.Boolean
    })
  ),
  /** The answer. */
  answer: Schema.optional(JsonObject)
})

type Kept = typeof Kept.Type

/** Where keys are kept. */
interface Store {
  readonly read: (name: string) => Effect.Effect<Option.Option<Kept>, StorageError>
  /** Keeps it if there is nothing of that name; says whether it did. */
  readonly claim: (name: string, kept: Kept) => Effect.Effect<boolean, StorageError>
  readonly write: (name: string, kept: Kept) => Effect.Effect<void, StorageError>
  readonly drop: (name: string) => Effect.Effect<void, StorageError>
  /** Forgets what is older than a day; gives the rest. */
  readonly sweep: Effect.Effect<ReadonlyArray<Kept>, StorageError>
}

/** The most keys in memory, and the most jobs that are known to belong to a request. */
const most = { keys: 10_000, jobs: 100_000 }

/** With a folder, keys outlive the process; without, they are lost with it. */
export const make = (options: {
  readonly folder?: string | undefined
}): Effect.Effect<Service, StorageError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* options.folder === undefined ? Effect.succeed(inMemory()) : inFolder(options.folder)
    const jobs = claims()
    const swept = Effect.tap(store.sweep, (all) =>
      Effect.sync(() => {
        for (const { answer } of all)
          if (typeof answer?.["batch_id"] === "string") jobs.add(answer["batch_id"])
      })
    )
    yield* swept
    const again = Effect.catchAll(swept, (error) => Effect.logWarning(error.message))
    yield* Effect.forkScoped(Effect.repeat(Effect.delay(again, "1 hour"), Schedule.forever))
    return service(store, jobs)
  })

/** Jobs that are known to come of one request, so that no other adopts them. */
interface Claims {
  /** False if it is claimed already. */
  readonly add: (id: string) => boolean
  readonly has: (id: string) => boolean
}

const claims = (): Claims => {
  const ids = new Set<string>()
  return {
    has: (id) => ids.has(id.toLowerCase()),
    add: (id) => {
      const isNew = !ids.has(id.toLowerCase())
      ids.add(id.toLowerCase())
      const [oldest] = ids
      if (ids.size > most.jobs && oldest !== undefined) ids.delete(oldest)
      return isNew
    }
  }
}

const service = (store: Store, jobs: Claims): Service => {
  const running = new Map<
    string,
    { readonly sha256: string; readonly end: Deferred.Deferred<Batch, KeyedError> }
  >()
  const nobody = () => Effect.succeed(false)

  /** What became of a lost request; whoever claims a job first has it. */
  const settle = (
    lost: Settlement.Lost,
    { isClaimed = nobody, until = Effect.never }: Looking
  ): Effect.Effect<Settlement.Verdict, never, BatchClient> =>
    Settlement.settle(lost, {
      isClaimed: (id) => Effect.suspend(() => (jobs.has(id) ? Effect.succeed(true) : isClaimed(id)))
    }).pipe(
      Effect.repeat({ until: (verdict) => verdict._tag !== "Accepted" || jobs.add(verdict.batch.batchId) }),
      Effect.raceFirst(Effect.as(until, stopped))
    )

  const plain = (
    request: SubmitRequest,
    looking: Looking,
    onLost: (error: SubmitUnknown) => Effect.Effect<void>
  ): Effect.Effect<Batch, SubmitError, BatchClient> =>
    Effect.flatMap(BatchClient, (client) => client.submit(request)).pipe(
      Effect.tap(({ batchId }) => Effect.sync(() => jobs.add(batchId))),
      Effect.catchTag("SubmitUnknown", (error) =>
        Effect.gen(function* () {
          yield* onLost(error)
          const verdict = yield* settle(Settlement.lostOf(request, error), looking)
          if (verdict._tag === "Accepted") return verdict.batch
          const detail = `${error.detail}; ${verdict.detail}`
          return yield* verdict._tag === "Undecided"
            ? new SubmitUnknown({ ...error, detail })
            : Settlement.notAccepted(error, detail)
        })
      )
    )

  /** Sends what is noted already, and notes what becomes of it. */
  const send = (name: string, note: Kept, request: SubmitRequest, looking: Looking) =>
    plain(request, looking, (error) => told(store.write(name, lostIn(note, request, error)))).pipe(
      Effect.tap((batch) => told(store.write(name, answeredIn(note, batch)))),
      Effect.tapError((error) => (error._tag === "SubmitUnknown" ? Effect.void : told(store.drop(name))))
    )

  const keyed = (
    name: string,
    sha256: string,
    key: string,
    request: SubmitRequest,
    looking: Looking
  ): Effect.Effect<Batch, KeyedError, BatchClient> =>
    Effect.gen(function* () {
      const now = yield* DateTime.now
      const found = yield* store.read(name)
      const before = Option.getOrUndefined(Option.filter(found, isFresh(now)))
      const note: Kept = {
        version: 1,
        at: now,
        sha256,
        lost: { body: request.body, sentAt: now, isSent: false }
      }
      if (before === undefined) {
        if (Option.isSome(found)) yield* store.drop(name)
        // Another process may have been faster.
        if (!(yield* store.claim(name, note))) return yield* keyed(name, sha256, key, request, looking)
        return yield* send(name, note, request, looking)
      }
      if (before.sha256 !== sha256) return yield* new KeyReused({ key })
      if (before.answer !== undefined) return yield* Effect.orDie(decodeBatch(before.answer))
      const error = unknownOf(request, before)
      const verdict = yield* settle(Settlement.lostOf(request, error), looking)
      if (verdict._tag === "Accepted") {
        yield* told(store.write(name, answeredIn(before, verdict.batch)))
        return verdict.batch
      }
      // When it was sent is not known of a process that ended meanwhile, so that nothing proves that it was not.
      if (verdict._tag === "Undecided" || before.lost?.isSent !== true) {
        return yield* new SubmitUnknown({ ...error, detail: verdict.detail })
      }
      yield* store.write(name, note)
      return yield* send(name, note, request, looking)
    })

  const submit: Service["submit"] = (request, { account, key, ...looking }) =>
    Effect.suspend(() => {
      if (Option.isNone(key)) return plain(request, looking, () => Effect.void)
      const name = hash(`${account}\n${key.value}`)
      const sha256 = hash(`${request.kind.path}\n${JSON.stringify(request.body)}`)
      const first = running.get(name)
      if (first !== undefined) {
        return first.sha256 === sha256 ? Deferred.await(first.end) : new KeyReused({ key: key.value })
      }
      const end = Deferred.unsafeMake<Batch, KeyedError>(FiberId.none)
      running.set(name, { sha256, end })
      return keyed(name, sha256, key.value, request, looking).pipe(
        Effect.onExit((exit) =>
          Effect.zipRight(
            Effect.sync(() => running.delete(name)),
            Deferred.done(end, exit)
          )
        )
      )
    })

  return { submit }
}

const stopped: Settlement.Verdict = { _tag: "Undecided", detail: "there was no time to look for it" }

const hash = (text: string): string => sha256Of(new TextEncoder().encode(text))

const isFresh =
  (now: DateTime.Utc) =>
  ({ at }: Kept): boolean =>
    DateTime.distance(at, now) < Duration.toMillis(kept)

/** What could not be noted is told: the job is there all the same, and the same key looks for it. */
const told = (write: Effect.Effect<void, StorageError>): Effect.Effect<void> =>
  Effect.catchAll(write, (error) => Effect.logWarning(error.message))

const lostIn = (note: Kept, { body }: SubmitRequest, { requestId, sentAt }: SubmitUnknown): Kept => ({
  ...note,
  lost: { body, sentAt, isSent: true, requestId: Option.getOrUndefined(requestId) }
})

const answeredIn = ({ at, sha256 }: Kept, batch: Batch): Kept => {
  const answer = Schema.decodeUnknownOption(JsonObject)(toJson(batch, { showUrls: true }))
  return { version: 1, at, sha256, answer: Option.getOrElse(answer, () => ({})) }
}

const unknownOf = ({ body: _body, identifiers, kind }: SubmitRequest, { at, lost }: Kept): SubmitUnknown =>
  new SubmitUnknown({
    kind: kind.name,
    count: Option.match(identifiers, { onNone: () => 1, onSome: ({ values }) => values.length }),
    sentAt: lost?.sentAt ?? at,
    requestId: Option.fromNullable(lost?.requestId),
    detail: "its answer was lost"
  })

const decodeBatch = Schema.decode(FromJson)

const inMemory = (): Store => {
  const known = new Map<string, Kept>()
  const sweep = Effect.map(DateTime.now, (now) => {
    for (const [name, note] of known) if (!isFresh(now)(note)) known.delete(name)
    return [...known.values()]
  })
  return {
    sweep,
    read: (name) => Effect.sync(() => Option.fromNullable(known.get(name))),
    claim: (name, note) =>
      Effect.flatMap(known.size >= most.keys ? sweep : Effect.void, () => {
        if (known.has(name)) return Effect.succeed(false)
        if (known.size >= most.keys) return full
        known.set(name, note)
        return Effect.succeed(true)
      }),
    write: (name, note) => Effect.sync(() => void known.set(name, note)),
    drop: (name) => Effect.sync(() => void known.delete(name))
  }
}

const full = Effect.fail(
  new StorageError({
    reason: "NoSpace",
    path: "the idempotency keys in memory",
    detail: "there are too many; keys in a folder have no such limit"
  })
)

const Line = Schema.parseJson(Kept)
const encode = Schema.encode(Line)
const decode = Schema.decode(Line)

/** A file for each key, which is whole whenever it is there: several processes may share the folder. */
const inFolder = (folder: string): Effect.Effect<Store, StorageError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const needs = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    yield* Effect.mapError(fs.makeDirectory(folder, { recursive: true, mode: 0o700 }), storageErrorAt(folder))
    const at = (name: string) => path.join(folder, `${name}.json`)
    const readAt = (file: string): Effect.Effect<Option.Option<Kept>, StorageError> =>
      fs.readFileString(file).pipe(
        Effect.map(Option.some<string>),
        Effect.catchIf(
          (error) => error._tag === "SystemError" && error.reason === "NotFound",
          () => Effect.succeed(Option.none<string>())
        ),
        Effect.mapError(storageErrorAt(file)),
        Effect.flatMap(
          Effect.transposeMapOption((text) =>
            Effect.mapError(
              decode(text),
              () =>
                new StorageError({ reason: "Unreadable", path: file, detail: "it is no note of a request" })
            )
          )
        )
      )
    const put = (name: string, note: Kept, replace: boolean): Effect.Effect<void, StorageError> =>
      Effect.gen(function* () {
        const text = yield* Effect.orDie(encode(note))
        const from = yield* Effect.mapError(
          fs.makeTempFileScoped({ directory: folder, prefix: "new-" }),
          storageErrorAt(folder)
        )
        yield* Storage.writeFile(from, new TextEncoder().encode(text))
        yield* Storage.publish({ from, to: at(name), replace })
      }).pipe(Effect.scoped, Effect.provide(needs), Effect.uninterruptible)
    return {
      read: (name) => readAt(at(name)),
      claim: (name, note) =>
        put(name, note, false).pipe(
          Effect.as(true),
          Effect.catchIf(
            ({ reason }) => reason === "Exists",
            () => Effect.succeed(false)
          )
        ),
      write: (name, note) => put(name, note, true),
      drop: (name) => Effect.provide(Storage.remove(at(name)), needs),
      sweep: Effect.gen(function* () {
        const now = yield* DateTime.now
        const names = yield* Effect.mapError(fs.readDirectory(folder), storageErrorAt(folder))
        const notes = yield* Effect.forEach(
          names.filter((name) => name.endsWith(".json")),
          (name) =>
            Effect.flatMap(Effect.option(readAt(path.join(folder, name))), (found) => {
              const note = Option.flatten(found)
              if (Option.isNone(note) || isFresh(now)(note.value)) return Effect.succeed(note)
              return Effect.as(
                Effect.provide(Storage.remove(path.join(folder, name)), needs),
                Option.none<Kept>()
              )
            }),
          { concurrency: 4 }
        )
        return notes.flatMap(Option.toArray)
      })
    }
  })
