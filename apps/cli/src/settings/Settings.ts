/**
 * The settings, in the order of their precedence: environment, profile file, defaults of the core.
 */
import type { FileSystem } from "@effect/platform"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { ConfigProvider, Context, Effect, Layer, Option } from "effect"
import { SettingsError } from "../failure/CliError.js"
import { Redactor } from "../terminal/Redactor.js"
import type { Stderr } from "../terminal/Stderr.js"
import * as Profile from "./Profile.js"

/** The environment of the process. */
export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>
}

/** The environment of the process. */
export const Environment = Context.GenericTag<Environment>("@org/batch-cli/Environment")

/** Where a setting comes from. */
export type Source = "environment" | "profile file"

/** What is set, and where. */
export interface Sourced {
  readonly profile: Profile.Profile["state"]
  readonly variables: ReadonlyMap<string, { readonly value: string; readonly source: Source }>
}

const from = (source: Source, entries: Iterable<readonly [string, string]>) =>
  [...entries].map(([name, value]) => [name, { value, source }] as const)

/** The variables of the profile file, overridden by those of the environment that are not empty. */
export const sourced: Effect.Effect<Sourced, SettingsError, Environment | FileSystem.FileSystem | Stderr> =
  Effect.gen(function* () {
    const env = (yield* Environment).variables
    const own = Object.entries(env).flatMap(([name, value]) => (value ? [[name, value] as const] : []))
    const without = ["CRUSTDATA_API_KEY", "CRUSTDATA_BASE_URL"].every((name) => Boolean(env[name]))
    const file = Profile.path(env)
    const profile: Profile.Profile = Option.isSome(file)
      ? yield* Profile.read(file.value, { without })
      : { state: "missing", variables: new Map() }
    return {
      profile: profile.state,
      variables: new Map([...from("profile file", profile.variables), ...from("environment", own)])
    }
  })

const variables = Effect.map(sourced, (all) =>
  [...all.variables].map(([name, { value }]) => [name, value] as const)
)

/** The settings of the core. The error says in one line which variable is invalid, why, and how to write it. */
export const layer: Layer.Layer<
  BatchConfig.BatchConfig,
  SettingsError,
  Redactor | Environment | FileSystem.FileSystem | Stderr
> = Layer.unwrapEffect(
  Effect.map(variables, (all) =>
    BatchConfig.layerConfig().pipe(
      Layer.tap(redactKey),
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(all), { pathDelim: "_" }))),
      Layer.mapError((error) => new SettingsError(BatchConfig.explain(error)))
    )
  )
)

const redactKey = (
  settings: Context.Context<BatchConfig.BatchConfig>
): Effect.Effect<void, never, Redactor> =>
  Effect.gen(function* () {
    const redactor = yield* Redactor
    const { apiKey } = Context.get(settings, BatchConfig.BatchConfig)
    if (Option.isSome(apiKey)) yield* redactor.add(apiKey.value)
  })
