/**
 * The settings of retrievals: where their store is, what this process does for them, and where they may lead.
 */
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { Postgres, Reach, Secrets, Signature } from "@org/batch-durable"
import { Config, Either, Option, Redacted } from "effect"
import { join, resolve } from "node:path"

/** Where the retrievals are kept: in a folder of this machine, or on a PostgreSQL that many machines share. */
export type StorePlace =
  | { readonly kind: "folder"; readonly folder: string }
  | { readonly kind: "postgres"; readonly url: Redacted.Redacted<string> }

/** What a process does: it takes retrievals in, or carries them out, or both. */
export type Role = (typeof roles)[number]

/** The settings of retrievals. */
export interface RetrievalSettings {
  /** None where there is no home folder and none is named. */
  readonly store: StorePlace | undefined
  readonly role: Role
  /** Downloads at a time in this process. */
  readonly slots: number
  /** Downloads at a time of one account, in all processes together. */
  readonly slotsPerAccount: number
  /** The root of folder destinations; none where there is no home folder and none is named. */
  readonly folder: string | undefined
  /** Encrypts the keys of callers at rest. */
  readonly secret: Option.Option<Secrets.Secret>
  /** Signs completion calls. */
  readonly webhookSecret: Option.Option<Redacted.Redacted<Uint8Array>>
  /** Where completion calls and S3 endpoints may lead, if that was said. */
  readonly reach: Option.Option<Reach.Reach>
}

const roles = ["all", "api", "worker"] as const

const role = (text: string): Either.Either<Role, string> =>
  Either.fromNullable(
    roles.find((known) => known === text.toLowerCase()),
    () => `${JSON.stringify(text)} is no role: there are ${roles.join(", ")}`
  )

const count = (text: string): Either.Either<number, string> =>
  /^[1-9]\d{0,3}$/u.test(text)
    ? Either.right(Number(text))
    : Either.left(`${JSON.stringify(text)} is no number of downloads: write one from 1 to 9999`)

const place = (text: string): Either.Either<StorePlace, string> => {
  if (Postgres.isAddress(text)) {
    return URL.canParse(text)
      ? Either.right({ kind: "postgres", url: Redacted.make(text) })
      : Either.left("the address cannot be read: write it as postgres://user:password@host:5432/database")
  }
  return /^\w+:\/\//u.test(text)
    ? Either.left("it is neither a folder nor an address such as postgres://user@host:5432/database")
    : Either.right({ kind: "folder", folder: resolve(text) })
}

/** The settings of retrievals, given the folder for what outlives the process. */
export const config: Config.Config<(state: string | undefined) => RetrievalSettings> = Config.all({
  store: BatchConfig.checked("BATCH_SERVER_STORE", undefined, place),
  role: BatchConfig.checked("BATCH_SERVER_ROLE", "all", role),
  slots: BatchConfig.checked("BATCH_SERVER_SLOTS", 8, count),
  slotsPerAccount: BatchConfig.checked("BATCH_SERVER_SLOTS_PER_ACCOUNT", 5, count),
  folder: BatchConfig.checked("BATCH_SERVER_FOLDER", undefined, (text) => Either.right(resolve(text))),
  secret: BatchConfig.checked("BATCH_SERVER_SECRET", Option.none(), (text) =>
    Either.map(Secrets.parse(text), Option.some)
  ),
  webhookSecret: BatchConfig.checked("BATCH_SERVER_WEBHOOK_SECRET", Option.none(), (text) =>
    Either.map(Signature.parse(text), Option.some)
  ),
  reach: BatchConfig.checked("BATCH_SERVER_ALLOW", Option.none(), (text) =>
    Either.map(Reach.parse(text), Option.some)
  )
}).pipe(
  Config.map((set) => (state): RetrievalSettings => {
    const below = (name: string) => (state === undefined ? undefined : join(resolve(state), name))
    const folder = below("store")
    return {
      ...set,
      store: set.store ?? (folder === undefined ? undefined : { kind: "folder", folder }),
      folder: set.folder ?? below("retrievals")
    }
  })
)
