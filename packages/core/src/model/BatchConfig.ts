/**
 * Every figure the package works with: its name, its default, its bounds and the environment variable that sets it.
 *
 * @example
 * import { Redacted } from "effect"
 * import { BatchConfig } from "@org/batch-core"
 *
 * const inCode = BatchConfig.layer({ apiKey: Redacted.make("key"), poll: { maxDelay: "1 minute" } })
 * const fromEnvironment = BatchConfig.layerConfig()
 */
import {
  Config,
  ConfigError,
  ConfigProvider,
  Context,
  Duration,
  Effect,
  Either,
  Layer,
  Option,
  Redacted
} from "effect"
import * as DurationText from "./DurationText.js"
import { maskText, maskUrl } from "./Masking.js"

/**
 * A setting with its default, read by `parse`, whose `Left` says what is wrong. A variable that is empty counts as one
 * that is not set. For the settings of a front end beside these.
 */
export const checked = <A>(
  name: string,
  dflt: A,
  parse: (text: string) => Either.Either<A, string>
): Config.Config<A> =>
  Config.string(name).pipe(
    Config.mapOrFail((text) =>
      text.trim() === ""
        ? Either.right(dflt)
        : Either.mapLeft(parse(text.trim()), (reason) => ConfigError.InvalidData([], reason))
    ),
    Config.withDefault(dflt)
  )

/** The longest timer of JavaScript, 2³¹ − 1 ms or almost 25 days; no pause and no timeout can be longer. */
export const longestTimer: Duration.Duration = Duration.millis(2 ** 31 - 1)

/** The longest pause that a server is believed to ask for: what is longer is an epoch where seconds belong, or nonsense. */
export const longestHint: Duration.Duration = Duration.days(1)

const duration = (
  name: string,
  dflt: Duration.DurationInput,
  options: { readonly atLeast?: Duration.DurationInput } = {}
): Config.Config<Duration.Duration> => {
  const minimum = Duration.decode(options.atLeast ?? 0)
  return checked(name, Duration.decode(dflt), (text) =>
    DurationText.parse(text).pipe(
      Either.filterOrLeft(
        Duration.greaterThanOrEqualTo(minimum),
        (actual) =>
          `${DurationText.format(actual)} is too short: it must be at least ${DurationText.format(minimum)}`
      ),
      Either.filterOrLeft(
        Duration.lessThanOrEqualTo(longestTimer),
        (actual) =>
          `${DurationText.format(actual)} is too long: it must be at most ${DurationText.format(longestTimer)}`
      )
    )
  )
}

const quantity = (
  name: string,
  dflt: number,
  bounds: { readonly min: number; readonly max: number; readonly fraction?: boolean }
): Config.Config<number> =>
  checked(name, dflt, (text) => {
    const value = Number(text)
    return value >= bounds.min && value <= bounds.max && (bounds.fraction === true || Number.isInteger(value))
      ? Either.right(value)
      : Either.left(
          `${text} must be a ${bounds.fraction === true ? "" : "whole "}number from ${bounds.min} to ${bounds.max}`
        )
  })

/** The cadence of polling: the first of the three clocks. */
const poll = Config.all({
  /** First pause between two polls. */
  initialDelay: duration("BATCH_POLL_INITIAL_DELAY", "2 seconds", { atLeast: "1 millis" }),
  /** Growth of the pause from poll to poll. */
  factor: quantity("BATCH_POLL_FACTOR", 1.5, { min: 1, max: 10, fraction: true }),
  /** Longest pause between two polls, until `slowAfter`. */
  maxDelay: duration("BATCH_POLL_MAX_DELAY", "30 seconds", { atLeast: "1 millis" }),
  /** How long a wait must last before pauses may grow up to `slowMaxDelay`. */
  slowAfter: duration("BATCH_POLL_SLOW_AFTER", "1 hour"),
  /** Longest pause between two polls of a long wait. */
  slowMaxDelay: duration("BATCH_POLL_SLOW_MAX_DELAY", "60 seconds", { atLeast: "1 millis" }),
  /** Shortest pause between two polls, whatever the jitter says. */
  minDelay: duration("BATCH_POLL_MIN_DELAY", "1 second", { atLeast: "1 millis" }),
  /** Longest pause that a server may ask for during a wait. */
  maxHint: duration("BATCH_POLL_MAX_HINT", "1 hour"),
  /** Unknown states in a row before a wait tells of it. */
  unknownStatusLimit: quantity("BATCH_POLL_UNKNOWN_STATUS_LIMIT", 5, { min: 1, max: 1000 })
})

/** The retry of one request and the timeout of one attempt: the second and the third clock. */
const retry = Config.all({
  /** Retries of one request. */
  limit: quantity("BATCH_RETRY_LIMIT", 3, { min: 0, max: 100 }),
  /** First pause before a retry; full jitter, doubled each time. */
  baseDelay: duration("BATCH_RETRY_BASE_DELAY", "500 millis"),
  /** Longest pause before a retry. */
  maxDelay: duration("BATCH_RETRY_MAX_DELAY", "8 seconds"),
  /** First pause before a retry of a 429. */
  throttledBaseDelay: duration("BATCH_RETRY_THROTTLED_BASE_DELAY", "1 second"),
  /** Longest pause before a retry of a 429. */
  throttledMaxDelay: duration("BATCH_RETRY_THROTTLED_MAX_DELAY", "30 seconds"),
  /** Longest pause that a server may ask for; beyond it the call fails as `RateLimited`. */
  maxRetryAfter: duration("BATCH_RETRY_MAX_RETRY_AFTER", "120 seconds"),
  /** Longest time for one attempt, its body included. */
  attemptTimeout: duration("BATCH_RETRY_ATTEMPT_TIMEOUT", "30 seconds", { atLeast: "1 millis" }),
  /** Retry tokens that all calls of one key share. */
  budget: quantity("BATCH_RETRY_BUDGET", 500, { min: 0, max: 1_000_000 }),
  /** Tokens that a retry takes. */
  cost: quantity("BATCH_RETRY_COST", 5, { min: 0, max: 1_000_000 }),
  /** Tokens that a retry after a timeout takes. */
  timeoutCost: quantity("BATCH_RETRY_TIMEOUT_COST", 10, { min: 0, max: 1_000_000 })
})

/** How bytes are brought to disk. */
const transfer = Config.all({
  /** Longest silence of the file host while we want bytes. */
  idleTimeout: duration("BATCH_TRANSFER_IDLE_TIMEOUT", "30 seconds", { atLeast: "1 millis" }),
  /** Retries without durable progress. */
  retries: quantity("BATCH_TRANSFER_RETRIES", 5, { min: 0, max: 1000 }),
  /** Connections at the start. */
  initialConnections: quantity("BATCH_TRANSFER_INITIAL_CONNECTIONS", 4, { min: 1, max: 64 }),
  /** Connections at most. */
  maxConnections: quantity("BATCH_TRANSFER_MAX_CONNECTIONS", 16, { min: 1, max: 64 }),
  /** How long before its expiry a link is renewed. */
  refreshBefore: duration("BATCH_TRANSFER_REFRESH_BEFORE", "5 minutes"),
  /** Fresh links without progress before the results count as expired. */
  maxRefreshes: quantity("BATCH_TRANSFER_MAX_REFRESHES", 3, { min: 1, max: 100 }),
  /** How long a completed job may lack its links, its object or its last rows before that is an error. */
  settle: duration("BATCH_TRANSFER_SETTLE", "2 minutes"),
  /** Temporary redirects followed for one request. */
  maxRedirects: quantity("BATCH_TRANSFER_MAX_REDIRECTS", 3, { min: 0, max: 20 }),
  /** Bytes gathered for one write. */
  blockBytes: quantity("BATCH_TRANSFER_BLOCK_BYTES", 1_048_576, { min: 4096, max: 67_108_864 }),
  /** Size of the cells that parallel connections share out; also what a first request asks for. */
  cellBytes: quantity("BATCH_TRANSFER_CELL_BYTES", 8_388_608, { min: 4096, max: 1_073_741_824 }),
  /** Bytes written before they are synced to the disk. */
  syncBytes: quantity("BATCH_TRANSFER_SYNC_BYTES", 8_388_608, { min: 4096, max: 1_073_741_824 }),
  /** Longest time before written bytes are synced to the disk. */
  syncInterval: duration("BATCH_TRANSFER_SYNC_INTERVAL", "1 second"),
  /** How long a lock must not have been touched before it counts as left behind by a crash. */
  lockPatience: duration("BATCH_TRANSFER_LOCK_PATIENCE", "2500 millis", { atLeast: "50 millis" }),
  /** Longest line of a result, in bytes without its line feed. */
  maxLineBytes: quantity("BATCH_TRANSFER_MAX_LINE_BYTES", 67_108_864, { min: 1024, max: 536_870_888 })
})

/** Where the API lives unless told otherwise. */
export const defaultBaseUrl = "https://api.crustdata.com"

/** A base URL as it was written, but for a user, a query and a fragment, in which a secret may be. */
const shownUrl = (text: string): string => maskUrl(text).replace(/^.*@/su, "***@").slice(0, 200)

const parseBaseUrl = (text: string): Either.Either<string, string> => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/u.test(url.protocol)) {
    return Either.left(
      `${JSON.stringify(shownUrl(text))} is no base URL: write it as https://host[:port][/path]`
    )
  }
  if (`${url.username}${url.password}${url.search}${url.hash}` !== "") {
    return Either.left(
      `${JSON.stringify(shownUrl(text))} must be https://host[:port][/path] without a user, a query or a fragment: the key has a setting of its own`
    )
  }
  return Either.right(`${url.origin}${url.pathname}`.replace(/\/+$/u, ""))
}

const parseApiKey = (key: string): Either.Either<Option.Option<Redacted.Redacted<string>>, string> =>
  /^[\x21-\x7e]+$/u.test(key)
    ? Either.right(Option.some(Redacted.make(key)))
    : Either.left("contains spaces, line breaks or other characters that no API key has")

const settings = Config.all({
  /** Root of the API, without a trailing slash. */
  baseUrl: checked("CRUSTDATA_BASE_URL", defaultBaseUrl, parseBaseUrl),
  /** Sent as `Authorization: Bearer …` to `baseUrl` and to nothing else. An empty one is none. */
  apiKey: checked("CRUSTDATA_API_KEY", Option.none(), parseApiKey),
  poll,
  retry,
  transfer
})

/** All settings, decoded. */
export type Settings = Config.Config.Success<typeof settings>

/** Durations as `Duration` or as text (`"1 minute"`, `"90s"`), never as a bare number, whose unit nobody sees. */
type Inputs<Group> = {
  readonly [Name in keyof Group]?:
    (Group[Name] extends Duration.Duration ? Duration.Duration | string : Group[Name]) | undefined
}

/** Any subset of the settings; the others take their defaults. */
export interface Options {
  readonly baseUrl?: string | undefined
  readonly apiKey?: Redacted.Redacted<string> | undefined
  readonly poll?: Inputs<Settings["poll"]> | undefined
  readonly retry?: Inputs<Settings["retry"]> | undefined
  readonly transfer?: Inputs<Settings["transfer"]> | undefined
}

/** The settings that everything else reads. */
export class BatchConfig extends Context.Tag("@org/batch-core/BatchConfig")<BatchConfig, Settings>() {}

/** Reads and checks settings given in code. `ConfigError` names the setting, as its variable, and the reason. */
export const make = (options: Options = {}): Effect.Effect<Settings, ConfigError.ConfigError> =>
  inCode(options).load(settings)

/** The settings from code. */
export const layer = (options: Options = {}): Layer.Layer<BatchConfig, ConfigError.ConfigError> =>
  Layer.effect(BatchConfig, make(options))

/**
 * The settings from the environment: `CRUSTDATA_BASE_URL`, `CRUSTDATA_API_KEY`, and a variable
 * `BATCH_<GROUP>_<NAME>` for each figure, such as `BATCH_POLL_MAX_DELAY=1m`.
 */
export const layerConfig = (): Layer.Layer<BatchConfig, ConfigError.ConfigError> =>
  Layer.effect(BatchConfig, settings)

/** The settings from code, and from the environment what the code does not say. */
export const layerWith = (options: Options): Layer.Layer<BatchConfig, ConfigError.ConfigError> =>
  Layer.effect(
    BatchConfig,
    Effect.configProviderWith((environment) =>
      inCode(options)
        .pipe(ConfigProvider.orElse(() => environment))
        .load(settings)
    )
  )

const inCode = (options: Options): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromMap(new Map(variables(options)), { pathDelim: "_" })

/** The names of all variables that `layerConfig` reads. */
export const names: Effect.Effect<ReadonlyArray<string>> = Effect.suspend(() => make()).pipe(
  Effect.orDie,
  Effect.map(({ poll, retry, transfer }) => [
    "CRUSTDATA_BASE_URL",
    "CRUSTDATA_API_KEY",
    ...variables({ poll, retry, transfer }).map(([name]) => name)
  ])
)

/** The first setting that is wrong, and why, for a message of one line. */
export const explain = (
  error: ConfigError.ConfigError
): { readonly setting: string; readonly detail: string } => {
  switch (error._op) {
    case "And":
    case "Or":
      return explain(error.left)
    default:
      return { setting: error.path.join("_"), detail: maskText(error.message) }
  }
}

const variables = (options: Options): ReadonlyArray<readonly [string, string]> => [
  ...variable("CRUSTDATA_BASE_URL", options.baseUrl),
  ...variable("CRUSTDATA_API_KEY", options.apiKey && Redacted.value(options.apiKey)),
  ...[options.poll, options.retry, options.transfer].flatMap((group, index) =>
    Object.entries(group ?? {}).flatMap(([name, value]) =>
      variable(
        `BATCH_${["POLL", "RETRY", "TRANSFER"][index]}_${name.replace(/[A-Z]/gu, "_$&").toUpperCase()}`,
        value
      )
    )
  )
]

const variable = (name: string, value: unknown): ReadonlyArray<readonly [string, string]> => {
  if (value === undefined) return []
  return [[name, Duration.isDuration(value) ? `${Duration.toMillis(value)}ms` : String(value)]]
}
