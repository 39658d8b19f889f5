/**
 * The settings of the service: where it listens, who may call it, and those of the core. A setting that cannot be
 * used ends the start with one line that names it, the reason and the way out.
 */
import * as BatchConfig from "@org/batch-core/BatchConfig"
import * as StateFolder from "@org/batch-node/StateFolder"
import {
  Config,
  ConfigProvider,
  Context,
  Data,
  Effect,
  Either,
  Layer,
  LogLevel,
  Option,
  Redacted
} from "effect"
import * as Access from "./Access.js"
import * as Cors from "./Cors.js"
import * as RetrievalSettings from "./RetrievalSettings.js"

/** A setting that cannot be used, and why. */
export class SettingsError extends Data.TaggedError("SettingsError")<{
  readonly setting: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.setting}: ${this.detail}`
  }
}

/** The settings of the service itself, beside those of the core. */
export interface Settings {
  readonly host: string
  readonly port: number
  /** Bearer tokens, one of which callers must present; the set may be empty on a loopback address only. */
  readonly tokens: Access.Tokens
  /** Lines below this level are not logged. */
  readonly logLevel: LogLevel.LogLevel
  /** The base URL of the OTLP collector for traces, if there is one. */
  readonly otlp: Option.Option<string>
  /** Headers for the collector, whose values are secrets. */
  readonly otlpHeaders: Redacted.Redacted<Readonly<Record<string, string>>>
  /** The folder for what outlives the process, and whether it was asked for; none where there is no home folder either. */
  readonly state: { readonly folder: string; readonly isAsked: boolean } | undefined
  /** Whose pages may call the service from a browser. */
  readonly corsOrigins: Cors.Origins
  readonly retrievals: RetrievalSettings.RetrievalSettings
}

/** The settings of the service, read from the environment. */
export class ServerSettings extends Context.Tag("@org/batch-server/ServerSettings")<
  ServerSettings,
  Settings
>() {}

const port = (text: string): Either.Either<number, string> =>
  /^\d{1,5}$/u.test(text) && Number(text) <= 65_535
    ? Either.right(Number(text))
    : Either.left(`${text} is no port: write a number from 0 to 65535; 0 takes any free one`)

const levels = ["debug", "info", "warning", "error", "none"] as const

const logLevel = (text: string): Either.Either<LogLevel.LogLevel, string> =>
  Option.match(Option.fromNullable(levels.find((level) => level === text.toLowerCase())), {
    onNone: () => Either.left(`${text} is no level: there are ${levels.join(", ")}`),
    onSome: (level) =>
      Either.right(
        LogLevel.fromLiteral(
          ({ debug: "Debug", info: "Info", warning: "Warning", error: "Error", none: "None" } as const)[level]
        )
      )
  })

const endpoint = (text: string): Either.Either<Option.Option<string>, string> =>
  URL.canParse(text) && /^https?:$/u.test(new URL(text).protocol)
    ? Either.right(Option.some(text.replace(/\/+$/u, "")))
    : Either.left("is no URL: write it as http://host:4318")

const header = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([\x20-\x7e]*)$/u

/** `name=value`, separated by commas, values percent-encoded, as OpenTelemetry has it. */
const headers = (text: string): Either.Either<Settings["otlpHeaders"], string> => {
  const pairs = text.split(",").map((pair) => header.exec(pair.trim()))
  const found = pairs.flatMap((pair) =>
    pair === null ? [] : [[pair[1] ?? "", decoded(pair[2] ?? "")] as const]
  )
  return found.length === pairs.length
    ? Either.right(Redacted.make(Object.fromEntries(found)))
    : Either.left("is no list of headers: write it as name=value,name=value")
}

const decoded = (text: string): string =>
  Option.getOrElse(Option.liftThrowable(decodeURIComponent)(text), () => text).trim()

const text = (name: string) => Config.withDefault(Config.string(name), "")

/** `$BATCH_SERVER_STATE`, else `batch-server` in the folder that XDG has for state. */
const state = Config.all({
  asked: text("BATCH_SERVER_STATE"),
  XDG_STATE_HOME: text("XDG_STATE_HOME"),
  HOME: text("HOME"),
  USERPROFILE: text("USERPROFILE")
}).pipe(
  Config.map(({ asked, ...variables }): Settings["state"] => {
    if (asked !== "") return { folder: asked, isAsked: true }
    const folder = StateFolder.below(variables, "batch-server")
    return folder === undefined ? undefined : { folder, isAsked: false }
  })
)

const settings = Config.all({
  state,
  host: BatchConfig.checked("HOST", "127.0.0.1", Either.right),
  port: BatchConfig.checked("PORT", 8787, port),
  tokens: BatchConfig.checked("BATCH_SERVER_TOKENS", Access.noTokens, Access.parseTokens),
  logLevel: BatchConfig.checked("LOG_LEVEL", LogLevel.Info, logLevel),
  otlp: BatchConfig.checked("OTEL_EXPORTER_OTLP_ENDPOINT", Option.none(), endpoint),
  otlpHeaders: BatchConfig.checked("OTEL_EXPORTER_OTLP_HEADERS", Redacted.make({}), headers),
  corsOrigins: BatchConfig.checked("CORS_ORIGINS", Cors.nobody, Cors.parse),
  retrievals: RetrievalSettings.config
}).pipe(
  Config.map(({ retrievals, ...rest }): Settings => ({ ...rest, retrievals: retrievals(rest.state?.folder) }))
)

/** Refuses an address that other machines reach if there are no tokens: whoever reaches it could use the service's key. */
const checkReach = ({ host, tokens }: Settings): Effect.Effect<void, SettingsError> =>
  tokens.count > 0 || Access.isLoopback(host)
    ? Effect.void
    : new SettingsError({
        setting: "HOST",
        detail: `${host} can be reached from other machines, so BATCH_SERVER_TOKENS must be set (comma-separated bearer tokens that callers present), or HOST be 127.0.0.1`
      })

/** The settings of the service and of the core, from the environment. */
export const layer: Layer.Layer<ServerSettings | BatchConfig.BatchConfig, SettingsError> = Layer.merge(
  Layer.effect(ServerSettings, settings),
  BatchConfig.layerConfig()
).pipe(
  Layer.mapError((error) => new SettingsError(BatchConfig.explain(error))),
  Layer.tap((context) => checkReach(Context.get(context, ServerSettings)))
)

/** The settings of the service and of the core, from these variables. */
export const layerFrom = (
  variables: Readonly<Record<string, string | undefined>>
): Layer.Layer<ServerSettings | BatchConfig.BatchConfig, SettingsError> => {
  const set = Object.entries(variables).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const]
  )
  return Layer.provide(
    layer,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map(set), { pathDelim: "_" }))
  )
}

/** Whether each caller's bearer token is passed through as the upstream key, because the service has no key. */
export const isPassThrough = ({ apiKey }: BatchConfig.Settings): boolean => Option.isNone(apiKey)

/** The core's settings for one caller: with its key, if the service has none. */
export const withKey = (config: BatchConfig.Settings, key: string): BatchConfig.Settings =>
  isPassThrough(config) ? { ...config, apiKey: Option.some(Redacted.make(key)) } : config
