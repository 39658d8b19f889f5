/**
 * Retrievals between the table and the model, in SQL that both stores understand.
 */
import { Effect, Option, Schedule, Schema, Stream } from "effect"
import { Retrieval } from "./Retrieval.js"
import { StoreUnavailable } from "./RetrievalError.js"
import { pause, type Row } from "./Store.js"

/** A moment of a column, as the interface promises it. */
export const instant = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** The look of a row `r` of `batch.retrieval` that waits for one: its own moment only says that it does. */
const look = (columns: string): string =>
  `(SELECT ${columns} FROM batch.look l WHERE l.account = r.account AND l.batch_id = r.batch_id
    AND r.next_look_at IS NOT NULL)`

/** When the next look is due; now, while one is under way. */
const nextLookAt = look("CASE WHEN l.leased THEN clock_timestamp() ELSE l.next_at END")

/** What changes whenever a row `r` of `batch.retrieval`, or when it is looked at, has changed. */
export const version = `concat(r.seq, ' ', ${look("l.requests")})`

/** The JSON of a row `r` of `batch.retrieval`, as the interface promises it. */
export const json = `jsonb_build_object('retrieval_id', r.id, 'state', r.state, 'batch_id', r.batch_id,
  'destination', r.destination, 'format', r.format, 'attempt', r.attempt,
  'progress', jsonb_build_object('status', r.status, 'result_count', r.result_count, 'bytes', r.bytes,
    'total_bytes', r.total_bytes, 'records', r.records),
  'receipt', r.receipt, 'error', r.error, 'created_at', ${instant("r.created_at")},
  'updated_at', ${instant("r.updated_at")}, 'next_look_at', ${instant(nextLookAt)})`

/** A JSON column of a row: drivers give it parsed, or as text. */
export const parsed = (value: unknown): unknown => (typeof value === "string" ? JSON.parse(value) : value)

const decode = Schema.decodeUnknown(Retrieval)

/** The retrieval of a row that was selected as `json AS retrieval`; what cannot be read is a defect. */
export const toRetrieval = (row: Row): Effect.Effect<Retrieval> =>
  Effect.orDie(Effect.suspend(() => decode(parsed(row["retrieval"]))))

/** A figure of a row: drivers give 64 bits as text or as a number. */
export const figure = (value: unknown): number => Number(value ?? 0)

/** A text of a row. */
export const text = (value: unknown): string => (typeof value === "string" ? value : "")

/** A moment of a row. */
export const moment = (value: unknown): Option.Option<number> =>
  value instanceof Date ? Option.some(value.getTime()) : Option.none()

/** Whether a text can be the id of a row. */
export const isUuid = (id: string): boolean => /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(id)

/** A row now, and whenever its `version` has changed. A database that is away for a while ends it not. */
export const changes = <E extends { readonly _tag: string }>(
  row: Effect.Effect<Row, E>
): Stream.Stream<Row, E> =>
  Stream.concat(
    Stream.fromEffect(row),
    Stream.repeatEffectWithSchedule(
      // It was there: the database may go away meanwhile, and the row ends with its retention.
      Effect.retry(row, {
        schedule: Schedule.spaced("1 second"),
        while: (error) => error._tag === "StoreUnavailable"
      }),
      Schedule.spaced("300 millis")
    )
  ).pipe(Stream.changesWith((a, b) => a["version"] === b["version"]))

/** The failure of a statement that gave no row although it always does. */
export const noRow: StoreUnavailable = new StoreUnavailable({
  detail: "it gave no answer",
  retryAfter: pause
})
