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

  it.effect("keeps retrievals in the state folder, or where it is told to", () =>
    Effect.gen(function* () {
      const [{ retrievals: plain }] = yield* read({ XDG_STATE_HOME: "/state" })
      expect(plain).toMatchObject({
        store: { kind: "folder", folder: "/state/batch-server/store" },
        folder: "/state/batch-server/retrievals",
        role: "all",
        slots: 8,
        slotsPerAccount: 5
      })
      expect([plain.secret, plain.webhookSecret, plain.reach]).toEqual([
        Option.none(),
        Option.none(),
        Option.none()
      ])
      const [{ retrievals: homeless }] = yield* read({})
      expect([homeless.store, homeless.folder]).toEqual([undefined, undefined])
      const [{ retrievals: named }] = yield* read({
        BATCH_SERVER_STATE: "/state",
        BATCH_SERVER_STORE: "postgres://batch:secret@db/batch",
        BATCH_SERVER_ROLE: "worker",
        BATCH_SERVER_SLOTS: "2",
        BATCH_SERVER_SLOTS_PER_ACCOUNT: "1",
        BATCH_SERVER_FOLDER: "/results",
        BATCH_SERVER_SECRET: "ab".repeat(32),
        BATCH_SERVER_WEBHOOK_SECRET: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        BATCH_SERVER_ALLOW: "10.0.0.0/8"
      })
      expect(named).toMatchObject({ role: "worker", slots: 2, slotsPerAccount: 1, folder: "/results" })
      expect(named.store?.kind).toBe("postgres")
      expect(JSON.stringify(named)).not.toContain("secret@")
      expect(Option.map(named.reach, ({ allows }) => allows("10.1.2.3"))).toEqual(Option.some(true))
      expect([named.secret, named.webhookSecret].map(Option.isSome)).toEqual([true, true])
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
    ["BATCH_SERVER_STORE", { BATCH_SERVER_STORE: "mysql://secret@db" }],
    ["BATCH_SERVER_STORE", { BATCH_SERVER_STORE: "postgres://secret@:x" }],
    ["BATCH_SERVER_ROLE", { BATCH_SERVER_ROLE: "boss" }],
    ["BATCH_SERVER_SLOTS", { BATCH_SERVER_SLOTS: "0" }],
    ["BATCH_SERVER_SLOTS_PER_ACCOUNT", { BATCH_SERVER_SLOTS_PER_ACCOUNT: "many" }],
    ["BATCH_SERVER_SECRET", { BATCH_SERVER_SECRET: "secret" }],
    ["BATCH_SERVER_WEBHOOK_SECRET", { BATCH_SERVER_WEBHOOK_SECRET: "secret" }],
    ["BATCH_SERVER_ALLOW", { BATCH_SERVER_ALLOW: "10.0.0.0/99" }],
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
