import { describe, expect, it } from "@effect/vitest"
import { BatchConfig } from "@org/batch-core/BatchConfig"
import { ConfigProvider, Effect, Layer, LogLevel, Option } from "effect"
import * as Settings from "../src/Settings.js"

const read = (variables: Readonly<Record<string, string>>) =>
  Effect.all([Settings.ServerSettings, BatchConfig]).pipe(
    Effect.provide(Settings.layer),
    Effect.provide(
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)), { pathDelim: "_" }))
    )
  )

describe("Settings", () => {
  it.effect("listens on this machine only unless told otherwise; what is empty counts as unset", () =>
    Effect.gen(function* () {
      for (const variables of [{}, { HOST: "", PORT: " ", BATCH_SERVER_TOKENS: "", LOG_LEVEL: "" }]) {
        const [{ host, logLevel, otlp, port, tokens }, config] = yield* read(variables)
        expect([host, port, tokens.count, logLevel, otlp]).toEqual([
          "127.0.0.1",
          8787,
          0,
          LogLevel.Info,
          Option.none()
        ])
        expect(Settings.isPassThrough(config)).toBe(true)
      }
    })
  )

  it.effect("reads what is set", () =>
    Effect.gen(function* () {
      const [settings, config] = yield* read({
        HOST: "0.0.0.0",
        PORT: "0",
        BATCH_SERVER_TOKENS: "one,two",
        LOG_LEVEL: "WARNING",
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/",
        CRUSTDATA_API_KEY: "key"
      })
      expect([settings.host, settings.port, settings.tokens.count]).toEqual(["0.0.0.0", 0, 2])
      expect([settings.logLevel, settings.otlp]).toEqual([
        LogLevel.Warning,
        Option.some("http://collector:4318")
      ])
      expect(Settings.isPassThrough(config)).toBe(false)
      expect(Settings.withKey(config, "other")).toBe(config)
    })
  )

  it.effect.each([
    ["HOST", { HOST: "0.0.0.0" }],
    ["HOST", { HOST: "::" }],
    ["HOST", { HOST: "batch.example" }],
    ["PORT", { PORT: "65536" }],
    ["PORT", { PORT: "-1" }],
    ["PORT", { PORT: "http" }],
    ["PORT", { PORT: "80.5" }],
    ["BATCH_SERVER_TOKENS", { BATCH_SERVER_TOKENS: "secret one,two" }],
    ["BATCH_SERVER_TOKENS", { BATCH_SERVER_TOKENS: "secret,,two" }],
    ["LOG_LEVEL", { LOG_LEVEL: "loud" }],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", { OTEL_EXPORTER_OTLP_ENDPOINT: "collector" }],
    ["CRUSTDATA_BASE_URL", { CRUSTDATA_BASE_URL: "ftp://x" }],
    ["CRUSTDATA_API_KEY", { CRUSTDATA_API_KEY: "secret key" }],
    ["BATCH_RETRY_LIMIT", { BATCH_RETRY_LIMIT: "many" }]
  ] as const)("%s that cannot be used is named: %j", ([setting, variables]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(read(variables))
      expect(error.setting).toBe(setting)
      expect(error.message).toMatch(/^[A-Z_]+: .{10,}$/u)
      expect(error.message).not.toContain("secret")
    })
  )
})
