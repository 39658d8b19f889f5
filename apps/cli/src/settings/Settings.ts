/**
 * The settings of a run: the environment first, then the profile file, then the defaults of the core.
 */
import type { FileSystem } from "@effect/platform"
import * as BatchConfig from "@org/batch-core/BatchConfig"
import { ConfigProvider, Context, Effect, Layer, Option } from "effect"
import { Censor } from "../terminal/Censor.js"
import { SettingsError } from "../failure/CliError.js"
import * as Profile from "./Profile.js"
import type { Screen } from "../terminal/Screen.js"

/** The environment of the process. */
export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>
}

/** The environment of the process. */
export const Environment = Context.GenericTag<Environment>("@org/batch-cli/Environment")

/** All variables: those of the profile file, and over them those of the environment that are not empty. */
export const variables: Effect.Effect<
  Profile.Variables,
  SettingsError,
  Environment | FileSystem.FileSystem | Screen
> = Effect.gen(function* () {
  const env = (yield* Environment).variables
  const file = Profile.path(env)
  const profile = Option.isSome(file) ? yield* Profile.read(file.value) : new Map<string, string>()
  const own = Object.entries(env).flatMap(([name, value]) => (value ? [[name, value] as const] : []))
  return new Map([...profile, ...own])
})

/** The settings of the core, or one readable line that says which variable is wrong, why, and how to write it. */
export const layer: Layer.Layer<
  BatchConfig.BatchConfig,
  SettingsError,
  Censor | Environment | FileSystem.FileSystem | Screen
> = Layer.unwrapEffect(
  Effect.map(variables, (all) =>
    BatchConfig.layerConfig().pipe(
      Layer.tap(guardKey),
      Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(all), { pathDelim: "_" }))),
      Layer.mapError((error) => new SettingsError(BatchConfig.explain(error)))
    )
  )
)

const guardKey = (settings: Context.Context<BatchConfig.BatchConfig>): Effect.Effect<void, never, Censor> =>
  Effect.gen(function* () {
    const { guard } = yield* Censor
    const { apiKey } = Context.get(settings, BatchConfig.BatchConfig)
    if (Option.isSome(apiKey)) yield* guard(apiKey.value)
  })
