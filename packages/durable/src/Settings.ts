/**
 * What the retrievals of one service have in common.
 *
 * @example
 * import { Settings } from "@org/batch-durable"
 *
 * const settings = Settings.layer({ folder: "/var/lib/batch/retrievals", slots: 4 })
 */
import { Context, Layer, Option, type Redacted } from "effect"
import * as Reach from "./Reach.js"
import type { Secret } from "./Secrets.js"

/** The settings, with their defaults in `layer`. */
export interface Service {
  /** The root of all folder destinations; downloads are staged in `.retrievals` below it. */
  readonly folder: string
  /** Whether each account has a folder of its own below the root, and a key of its own: `secret` must be there then. */
  readonly passThrough: boolean
  /** Encrypts the keys of accounts. */
  readonly secret: Option.Option<Secret>
  /** Signs completion calls: the bytes behind `whsec_`. */
  readonly webhookSecret: Option.Option<Redacted.Redacted<Uint8Array>>
  /** Where completion calls and S3 endpoints may lead. */
  readonly reach: Reach.Reach
  /** Downloads at a time in this process. */
  readonly slots: number
  /** Downloads at a time of one account, in all processes together. */
  readonly slotsPerAccount: number
  /** Requests a minute to the API for one account, until its answers teach another figure. */
  readonly requestsAMinute: number
  /** How long a retrieval that has ended is kept, in days. */
  readonly retentionDays: number
}

/** What the retrievals of one service have in common. */
export class Settings extends Context.Tag("@org/batch-durable/Settings")<Settings, Service>() {}

/** The settings that are not those of everybody. */
export type Options = Pick<Service, "folder"> & {
  readonly [Name in keyof Service]?: Service[Name] | undefined
}

/** The settings, given those that are not those of everybody. */
export const make = (options: Options): Service => ({
  folder: options.folder,
  passThrough: options.passThrough ?? false,
  secret: options.secret ?? Option.none(),
  webhookSecret: options.webhookSecret ?? Option.none(),
  reach: options.reach ?? Reach.publicOnly,
  slots: options.slots ?? 8,
  slotsPerAccount: options.slotsPerAccount ?? 5,
  requestsAMinute: options.requestsAMinute ?? 60,
  retentionDays: options.retentionDays ?? 90
})

/** The settings as a layer. */
export const layer = (options: Options): Layer.Layer<Settings> => Layer.succeed(Settings, make(options))
