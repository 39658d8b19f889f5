/**
 * The publication of a staged file as an object of an S3-compatible bucket. Without `replace` the bucket itself decides
 * who wins (`If-None-Match: *`). The id of a multipart upload is noted before its first part is sent, so that whoever
 * takes the retrieval over aborts what the one before left behind.
 */
import { StorageError } from "@org/batch-core/BatchError"
import { Effect, Exit, Option, Predicate, Runtime, type Scope } from "effect"
import type { S3Client } from "@aws-sdk/client-s3"
import { createReadStream } from "node:fs"
import { Agent as HttpAgent } from "node:http"
import { Agent as HttpsAgent } from "node:https"
import type { Reach } from "./Reach.js"
import type { S3 } from "./Retrieval.js"

/** What is published, and where. */
export interface Publication {
  readonly from: string
  readonly bytes: number
  readonly sha256: string
  readonly mediaType: string
  readonly destination: typeof S3.Type
  readonly replace: boolean
  readonly retrievalId: string
  readonly reach: Reach
}

/** Notes the id of the upload that begins. Must succeed before its first part is sent. */
export type OnUpload<E> = (uploadId: string) => Effect.Effect<void, E>

/** The place of an object, for people. */
export const placeOf = ({ bucket, key }: Pick<typeof S3.Type, "bucket" | "key">): string =>
  `s3://${bucket}/${key}`

const connect = (destination: typeof S3.Type, reach: Reach): Effect.Effect<S3Client, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sdk = await import("@aws-sdk/client-s3")
      const { endpoint, region } = destination
      // Only an endpoint of a caller's choice must keep to the hosts that are allowed.
      const lookup = endpoint === undefined ? {} : { lookup: reach.lookup }
      return new sdk.S3Client({
        ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
        ...(region === undefined ? (endpoint === undefined ? {} : { region: "us-east-1" }) : { region }),
        followRegionRedirects: endpoint === undefined,
        requestHandler: {
          connectionTimeout: 10_000,
          requestTimeout: 120_000,
          httpAgent: new HttpAgent({ keepAlive: true, maxSockets: 16, ...lookup }),
          httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: 16, ...lookup })
        }
      })
    }),
    (client) => Effect.sync(() => client.destroy())
  )

/** What a bucket answered, by its code or its status. */
const problem =
  (destination: typeof S3.Type) =>
  (cause: unknown): StorageError => {
    const path = placeOf(destination)
    const status = statusOf(cause)
    const name = cause instanceof Error ? cause.name : ""
    const detail = cause instanceof Error && cause.message !== "" ? `${name}: ${cause.message}` : name
    if (status === 412) return new StorageError({ reason: "Exists", path, detail: "it was left untouched" })
    if (status === 501) {
      const way = 'it may not know If-None-Match: ask for "replace": true, which needs none'
      return new StorageError({ reason: "Unwritable", path, detail: `${detail}; ${way}` })
    }
    const isDenied = status === 401 || status === 403 || name === "CredentialsProviderError"
    return new StorageError({ reason: isDenied ? "Denied" : "Unwritable", path, detail })
  }

const statusOf = (cause: unknown): number => {
  const metadata = Predicate.hasProperty(cause, "$metadata") ? cause.$metadata : undefined
  return Predicate.hasProperty(metadata, "httpStatusCode") ? Number(metadata.httpStatusCode) : 0
}

const owner = "batch-retrieval-id"
const digest = "batch-sha256"

/** The digest of the object if it is of this retrieval; `other` if it is not; none if there is none. */
const owned = (client: S3Client, destination: typeof S3.Type, retrievalId: string) =>
  Effect.tryPromise({
    try: async () => {
      const { HeadObjectCommand } = await import("@aws-sdk/client-s3")
      const { bucket, key } = destination
      const found = await client
        .send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
        .catch((cause: unknown) => {
          if (statusOf(cause) === 404) return undefined
          throw cause
        })
      if (found === undefined) return Option.none<string>()
      return Option.some(found.Metadata?.[owner] === retrievalId ? (found.Metadata[digest] ?? "") : "other")
    },
    catch: problem(destination)
  })

/** Fails if another's object has the name already, before anything is fetched. What cannot be asked is seen later. */
export const check = (
  publication: Pick<Publication, "destination" | "reach" | "replace" | "retrievalId">
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { destination, reach, replace, retrievalId } = publication
    if (replace) return
    const client = yield* connect(destination, reach)
    const found = yield* owned(client, destination, retrievalId).pipe(
      Effect.catchIf(
        ({ reason }) => reason === "Denied",
        () => Effect.succeedNone
      )
    )
    if (Option.contains(found, "other")) {
      const detail = "it was left untouched"
      return yield* new StorageError({ reason: "Exists", path: placeOf(destination), detail })
    }
  }).pipe(Effect.scoped)

/** Removes what an upload that will not be ended has left in the bucket; one that is gone already will do. */
export const abort = (
  destination: typeof S3.Type,
  reach: Reach,
  uploadId: string
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const client = yield* connect(destination, reach)
    yield* Effect.tryPromise({
      try: async () => {
        const { AbortMultipartUploadCommand } = await import("@aws-sdk/client-s3")
        const { bucket, key } = destination
        await client
          .send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }))
          .catch((cause: unknown) => {
            if (statusOf(cause) !== 404) throw cause
          })
      },
      catch: problem(destination)
    })
  }).pipe(Effect.scoped)

/** How long the cleaning up behind an upload that did not come to its end may take; what is left is noted. */
const cleanUp = "3 seconds"

/** Uploads, in parts where it is large, with checksums; an upload that is interrupted or fails is aborted. */
export const publish = <E>(
  publication: Publication,
  onUpload: OnUpload<E>
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { destination, reach, retrievalId, sha256 } = publication
    const sent = Effect.gen(function* () {
      const client = yield* connect(destination, reach)
      const runtime = yield* Effect.runtime<never>()
      let begun: Promise<string | undefined> = Promise.resolve(undefined)
      noteUploads(client, {
        onBegin: (created) => void (begun = created.catch(() => undefined)),
        note: (id) => Runtime.runPromise(runtime)(onUpload(id))
      })
      // The bucket may be about to answer with the id when the upload is interrupted.
      const abandoned = Effect.promise(() => begun).pipe(
        Effect.flatMap((id) => (id === undefined ? Effect.void : abort(destination, reach, id))),
        Effect.interruptible,
        Effect.timeout(cleanUp),
        Effect.ignore
      )
      yield* upload(client, publication).pipe(
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : abandoned))
      )
    }).pipe(Effect.scoped)
    yield* sent.pipe(
      Effect.catchIf(
        ({ reason }) => reason === "Exists",
        (error) =>
          Effect.filterOrFail(
            Effect.scoped(
              Effect.flatMap(connect(destination, reach), (client) => owned(client, destination, retrievalId))
            ),
            (found) => Option.contains(found, sha256),
            () => error
          )
      )
    )
  })

/** What is told of an upload in parts. */
interface Noting {
  /** Told when it is asked for; the id comes with the bucket's answer. */
  readonly onBegin: (created: Promise<string>) => void
  /** Notes the id before the first part is sent. */
  readonly note: (uploadId: string) => Promise<void>
}

/** Tells of an upload from its creation on, and has it noted before its first part. */
const noteUploads = (client: S3Client, { note, onBegin }: Noting): void =>
  client.middlewareStack.add(
    (next, context) => async (args) => {
      if (context.commandName !== "CreateMultipartUploadCommand") return next(args)
      const answer = next(args)
      const created = answer.then(({ output }) =>
        Predicate.hasProperty(output, "UploadId")
          ? String(output.UploadId)
          : Promise.reject(new Error("no UploadId"))
      )
      onBegin(created)
      await note(await created)
      return answer
    },
    { step: "initialize", name: "noteUploads" }
  )

const upload = (client: S3Client, publication: Publication): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { bytes, destination, from, mediaType, replace, retrievalId, sha256 } = publication
    const { Upload } = yield* Effect.promise(() => import("@aws-sdk/lib-storage"))
    const body = yield* Effect.acquireRelease(
      Effect.sync(() => createReadStream(from, { highWaterMark: 1_048_576 })),
      (stream) => Effect.sync(() => void stream.destroy())
    )
    const params = {
      Bucket: destination.bucket,
      Key: destination.key,
      Body: body,
      ContentType: mediaType,
      ContentLength: bytes,
      Metadata: { [owner]: retrievalId, [digest]: sha256 },
      ...(replace ? {} : { IfNoneMatch: "*" })
    }
    const partSize = Math.max(8_388_608, Math.ceil(bytes / 9000))
    const transfer = new Upload({ client, params, partSize, queueSize: 4 })
    yield* Effect.tryPromise({
      try: (signal) => {
        signal.addEventListener("abort", () => void transfer.abort())
        return transfer.done()
      },
      catch: problem(destination)
    })
  }).pipe(Effect.scoped)
