import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Option, Redacted } from "effect"
import * as BatchConfig from "../../src/model/BatchConfig.js"

/** Each figure: its group, its name, its variable, and its default, here in milliseconds and bytes. */
const figures = [
  ["poll", "initialDelay", "BATCH_POLL_INITIAL_DELAY", 2_000],
  ["poll", "factor", "BATCH_POLL_FACTOR", 1.5],
  ["poll", "maxDelay", "BATCH_POLL_MAX_DELAY", 30_000],
  ["poll", "slowAfter", "BATCH_POLL_SLOW_AFTER", 3_600_000],
  ["poll", "slowMaxDelay", "BATCH_POLL_SLOW_MAX_DELAY", 60_000],
  ["poll", "minDelay", "BATCH_POLL_MIN_DELAY", 1_000],
  ["poll", "maxHint", "BATCH_POLL_MAX_HINT", 3_600_000],
  ["poll", "unknownStatusLimit", "BATCH_POLL_UNKNOWN_STATUS_LIMIT", 5],
  ["retry", "limit", "BATCH_RETRY_LIMIT", 3],
  ["retry", "baseDelay", "BATCH_RETRY_BASE_DELAY", 500],
  ["retry", "maxDelay", "BATCH_RETRY_MAX_DELAY", 8_000],
  ["retry", "throttledBaseDelay", "BATCH_RETRY_THROTTLED_BASE_DELAY", 1_000],
  ["retry", "throttledMaxDelay", "BATCH_RETRY_THROTTLED_MAX_DELAY", 30_000],
  ["retry", "maxRetryAfter", "BATCH_RETRY_MAX_RETRY_AFTER", 120_000],
  ["retry", "attemptTimeout", "BATCH_RETRY_ATTEMPT_TIMEOUT", 30_000],
  ["retry", "budget", "BATCH_RETRY_BUDGET", 500],
  ["retry", "cost", "BATCH_RETRY_COST", 5],
  ["retry", "timeoutCost", "BATCH_RETRY_TIMEOUT_COST", 10],
  ["transfer", "idleTimeout", "BATCH_TRANSFER_IDLE_TIMEOUT", 30_000],
  ["transfer", "retries", "BATCH_TRANSFER_RETRIES", 5],
  ["transfer", "initialConnections", "BATCH_TRANSFER_INITIAL_CONNECTIONS", 4],
  ["transfer", "maxConnections", "BATCH_TRANSFER_MAX_CONNECTIONS", 16],
  ["transfer", "refreshBefore", "BATCH_TRANSFER_REFRESH_BEFORE", 300_000],
  ["transfer", "settle", "BATCH_TRANSFER_SETTLE", 120_000],
  ["transfer", "maxRefreshes", "BATCH_TRANSFER_MAX_REFRESHES", 3],
  ["transfer", "maxRedirects", "BATCH_TRANSFER_MAX_REDIRECTS", 3],
  ["transfer", "blockBytes", "BATCH_TRANSFER_BLOCK_BYTES", 1_048_576],
  ["transfer", "cellBytes", "BATCH_TRANSFER_CELL_BYTES", 8_388_608],
  ["transfer", "syncBytes", "BATCH_TRANSFER_SYNC_BYTES", 8_388_608],
  ["transfer", "syncInterval", "BATCH_TRANSFER_SYNC_INTERVAL", 1_000],
  ["transfer", "lockPatience", "BATCH_TRANSFER_LOCK_PATIENCE", 2_500],
  ["transfer", "maxLineBytes", "BATCH_TRANSFER_MAX_LINE_BYTES", 67_108_864]
] as const

const groups = ["poll", "retry", "transfer"] as const

/** Settings with durations in milliseconds. */
const plain = (settings: BatchConfig.Settings) =>
  Object.fromEntries(
    groups.map((group) => [
      group,
      Object.fromEntries(
        Object.entries(settings[group]).map(([name, value]) => [
          name,
          Duration.isDuration(value) ? Duration.toMillis(value) : value
        ])
      )
    ])
  )

const fromEnvironment = (variables: Readonly<Record<string, string>>) =>
  Effect.provide(BatchConfig.BatchConfig, BatchConfig.layerConfig()).pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))
  )

describe("defaults", () => {
  it.effect("are the numbers of the design, and there is no figure without one", () =>
    Effect.gen(function* () {
      const expected = Object.fromEntries(
        groups.map((group) => [
          group,
          Object.fromEntries(figures.flatMap(([of, name, , value]) => (of === group ? [[name, value]] : [])))
        ])
      )
      expect(plain(yield* BatchConfig.make())).toEqual(expected)
      expect(plain(yield* fromEnvironment({}))).toEqual(expected)
    })
  )

  it.effect("of the address and the key", () =>
    Effect.gen(function* () {
      const settings = yield* BatchConfig.make()
      expect(settings.baseUrl).toBe("https://api.crustdata.com")
      expect(settings.apiKey).toEqual(Option.none())
    })
  )
})

/** Bounds of the figures that are numbers, and of the durations that must not be zero. */
const bounds: Readonly<Record<string, readonly [min: number, max: number]>> = {
  factor: [1, 10],
  unknownStatusLimit: [1, 1000],
  limit: [0, 100],
  budget: [0, 1_000_000],
  cost: [0, 1_000_000],
  timeoutCost: [0, 1_000_000],
  retries: [0, 1000],
  initialConnections: [1, 64],
  maxConnections: [1, 64],
  maxRefreshes: [1, 100],
  maxRedirects: [0, 20],
  blockBytes: [4096, 67_108_864],
  cellBytes: [4096, 1_073_741_824],
  syncBytes: [4096, 1_073_741_824],
  maxLineBytes: [1024, 536_870_888]
}
const positive = [
  "poll.initialDelay",
  "poll.maxDelay",
  "poll.slowMaxDelay",
  "poll.minDelay",
  "retry.attemptTimeout",
  "transfer.idleTimeout"
]

/** What an error says; a short text when there is none, since a failing test prints it. */
const refusal = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.match(effect, { onFailure: String, onSuccess: () => "accepted" })

const inCode = (group: string, name: string, value: unknown): BatchConfig.Options => ({
  [group]: { [name]: value }
})

describe.each(figures)("%s.%s", (group, name, variable) => {
  const [min, max] = bounds[name] ?? []
  const isDuration = min === undefined || max === undefined
  const read = (settings: BatchConfig.Settings) => plain(settings)[group]?.[name]

  it.effect(`is set by ${variable} and in code`, () =>
    Effect.gen(function* () {
      const written = isDuration ? ["1m30s", "90s", "90000ms"] : [`${min}`, `${max}`]
      for (const text of written) {
        const settings = yield* fromEnvironment({ [variable]: text })
        expect([text, read(settings)]).toEqual([text, isDuration ? 90_000 : Number(text)])
      }
      for (const value of isDuration ? ["90s", Duration.seconds(90)] : [min, max]) {
        const settings = yield* BatchConfig.make(inCode(group, name, value))
        expect([value, read(settings)]).toEqual([value, isDuration ? 90_000 : value])
      }
    })
  )

  it.effect("refuses what makes no sense, by the name of the variable", () =>
    Effect.gen(function* () {
      const zero = positive.includes(`${group}.${name}`) ? ["0s", "0.9ms"] : []
      const illegal = isDuration
        ? ["soon", "-1s", "1e3", "25d", ...zero]
        : ["many", "Infinity", `${min - 1}`, `${max + 1}`, ...(name === "factor" ? [] : [`${min}.5`])]
      for (const text of illegal) {
        const outside = yield* refusal(fromEnvironment({ [variable]: text }))
        expect(outside).toContain(`Invalid data at ${variable}: `)
        expect(outside).toMatch(
          /is no duration|is too short: it must be at least 1 ms|is too long: it must be at most 24 d 20 h|must be a (whole )?number from/u
        )
      }
      const inside = inCode(group, name, isDuration ? "soon" : max + 1)
      expect(yield* refusal(BatchConfig.make(inside))).toContain(`Invalid data at ${variable}: `)
    })
  )
})

describe("the environment", () => {
  it.effect("reads BATCH_POLL_MAX_DELAY=1m from the process", () =>
    Effect.gen(function* () {
      const before = process.env["BATCH_POLL_MAX_DELAY"]
      process.env["BATCH_POLL_MAX_DELAY"] = "1m"
      const settings = yield* Effect.provide(BatchConfig.BatchConfig, BatchConfig.layerConfig()).pipe(
        Effect.withConfigProvider(ConfigProvider.fromEnv()),
        Effect.ensuring(
          Effect.sync(() => {
            if (before === undefined) delete process.env["BATCH_POLL_MAX_DELAY"]
            else process.env["BATCH_POLL_MAX_DELAY"] = before
          })
        )
      )
      expect(settings.poll.maxDelay).toEqual(Duration.minutes(1))
    })
  )

  it.effect("takes an empty variable for an absent one", () =>
    Effect.gen(function* () {
      const names = [...figures.map(([, , variable]) => variable), "CRUSTDATA_BASE_URL", "CRUSTDATA_API_KEY"]
      const blank = fromEnvironment(Object.fromEntries(names.map((name) => [name, " "])))
      expect(yield* refusal(blank)).toBe("accepted")
      const settings = yield* blank
      expect(plain(settings)).toEqual(plain(yield* BatchConfig.make()))
      expect([settings.baseUrl, settings.apiKey]).toEqual([BatchConfig.defaultBaseUrl, Option.none()])
    })
  )

  it.effect("tells of all wrong variables at once", () =>
    Effect.gen(function* () {
      const wrong = { BATCH_POLL_FACTOR: "0", BATCH_RETRY_BUDGET: "all", CRUSTDATA_BASE_URL: "here" }
      const error = yield* refusal(fromEnvironment(wrong))
      for (const name of Object.keys(wrong)) expect(error).toContain(`Invalid data at ${name}: `)
    })
  )

  it.effect("does not reach settings given in code", () =>
    Effect.gen(function* () {
      const settings = yield* BatchConfig.make({ retry: { limit: 1 } }).pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["BATCH_RETRY_COST", "77"]])))
      )
      expect([settings.retry.limit, settings.retry.cost]).toEqual([1, 5])
    })
  )
})

describe("base URL", () => {
  const baseUrl = (text: string) =>
    Effect.map(BatchConfig.make({ baseUrl: text }), (settings) => settings.baseUrl)

  it.effect.each([
    ["https://api.crustdata.com", "https://api.crustdata.com"],
    ["https://api.crustdata.com/", "https://api.crustdata.com"],
    [" https://proxy.test/crustdata/v1// ", "https://proxy.test/crustdata/v1"],
    ["http://127.0.0.1:8788", "http://127.0.0.1:8788"],
    ["https://api.crustdata.com/?", "https://api.crustdata.com"],
    ["https://api.crustdata.com/#", "https://api.crustdata.com"]
  ] as const)("%s", ([text, expected]) =>
    Effect.gen(function* () {
      expect(yield* baseUrl(text)).toBe(expected)
    })
  )

  it.effect.each([
    "api.crustdata.com",
    "ftp://api.crustdata.com",
    "https://",
    "https://5ec2e7@api.test",
    "https://user:5ec2e7@api.test",
    "https://api.test?key=5ec2e7",
    "https://api.test/v1#5ec2e7",
    "ftp://user:5ec2e7@api.test",
    "user:5ec2e7@api.test",
    "foo?key=5ec2e7"
  ])("refuses %s without repeating what may be secret", (text) =>
    Effect.gen(function* () {
      const error = yield* refusal(baseUrl(text))
      expect(error).toContain("Invalid data at CRUSTDATA_BASE_URL: ")
      expect(error).not.toContain("5ec2e7")
    })
  )

  it.effect("shows what is none", () =>
    Effect.gen(function* () {
      expect(yield* refusal(baseUrl("foo"))).toContain(`"foo" is no base URL: write it as https://host`)
      expect(yield* refusal(baseUrl("https://me@api.test/v1?a=b"))).toContain(`"***@api.test/v1?***" must be`)
    })
  )
})

describe("key", () => {
  const apiKey = (text: string) =>
    Effect.map(BatchConfig.make({ apiKey: Redacted.make(text) }), (settings) =>
      Option.map(settings.apiKey, Redacted.value)
    )

  it.effect("is trimmed, redacted, and may be absent", () =>
    Effect.gen(function* () {
      expect(yield* apiKey(" 5ec2e7\n")).toEqual(Option.some("5ec2e7"))
      expect(yield* apiKey("  ")).toEqual(Option.none())
      const settings = yield* fromEnvironment({ CRUSTDATA_API_KEY: "5ec2e7" })
      expect(Option.map(settings.apiKey, Redacted.value)).toEqual(Option.some("5ec2e7"))
      expect(JSON.stringify(settings) + String(settings.apiKey)).not.toContain("5ec2e7")
    })
  )

  it.effect.each(["5ec2 e7", "5ec2\ne7", "5ec2\u0000e7", "5ec2é7"])(
    "is refused unseen when it is %j",
    (text) =>
      Effect.gen(function* () {
        const error = yield* refusal(apiKey(text))
        expect(error).toContain("Invalid data at CRUSTDATA_API_KEY: ")
        expect(error).not.toContain("5ec2")
      })
  )
})
