/**
 * The checks of `batchctl doctor`: Node, settings, proxy, API, clock, folders. Loaded only by that command.
 */
import { HttpClient } from "@effect/platform"
import type { Entitlements } from "@org/batch-core/Account"
import { BatchClient, layerOver } from "@org/batch-core/BatchClient"
import { BatchConfig, names as settingNames } from "@org/batch-core/BatchConfig"
import * as JobKind from "@org/batch-core/JobKind"
import { maskUrl } from "@org/batch-core/Masking"
import * as Preflight from "@org/batch-core/Preflight"
import { localMachine } from "@org/batch-node/LocalMachine"
import * as Network from "@org/batch-node/Network"
import { Clock, Duration, Effect, Either, Layer, Option, Ref } from "effect"
import { access, constants } from "node:fs/promises"
import { tmpdir } from "node:os"
import { resolve } from "node:path"
import type { SettingsError } from "../failure/CliError.js"
import * as ExitCode from "../failure/ExitCode.js"
import * as CoreLayer from "../settings/CoreLayer.js"
import * as LogLevel from "../settings/LogLevel.js"
import * as Profile from "../settings/Profile.js"
import * as Settings from "../settings/Settings.js"
import { bytes, count, credits as amount, duration } from "../terminal/Humanize.js"

/** The outcome of one check. */
export interface Finding {
  readonly name: string
  readonly state: "ok" | "warning" | "failed"
  readonly detail: string
  /** The exit code of the run if this is the first check that failed. */
  readonly exitCode: number
}

const finding = (
  name: string,
  state: Finding["state"],
  detail: string,
  exitCode: number = ExitCode.ok
): Finding => ({
  name,
  state,
  detail,
  exitCode
})

/** Runs all checks. A failed check is a finding, not a failure of the effect. */
export const examine = Effect.gen(function* () {
  const environment = yield* Settings.Environment
  const settings = yield* Effect.either(Effect.provide(BatchConfig, Settings.layer))
  const set = yield* Effect.option(Settings.sourced)
  const log = yield* LogLevel.chosen
  return [
    node(process.versions.node),
    ...settingsFindings(settings, environment, set),
    ...(yield* figures(set)),
    finding("log level", "ok", `${log.name}, ${sources[log.source]}`),
    ...(Either.isRight(settings) && Option.isNone(proxyProblem(settings.right, environment))
      ? yield* reach(settings.right)
      : []),
    yield* folder("output folder", "."),
    yield* folder("temporary folder", tmpdir())
  ]
})

/** The findings as aligned lines, one each. */
export const text = (findings: ReadonlyArray<Finding>): ReadonlyArray<string> => {
  const width = Math.max(...findings.map(({ name }) => name.length))
  const marks = { ok: "ok    ", warning: "look  ", failed: "FAILED" }
  return findings.map(({ detail, name, state }) => `${marks[state]}  ${name.padEnd(width)}  ${detail}`)
}

/** The findings as the object that `--json` prints. */
export const json = (findings: ReadonlyArray<Finding>): unknown => ({
  ok: findings.every(({ state }) => state !== "failed"),
  findings: findings.map(({ detail, name, state }) => ({ name, state, detail }))
})

/** The exit code of the run: that of the first failed check, or 0. */
export const exitCode = (findings: ReadonlyArray<Finding>): number =>
  findings.find(({ state }) => state === "failed")?.exitCode ?? ExitCode.ok

const node = (version: string): Finding => {
  const [major = 0, minor = 0] = version.split(".").map(Number)
  return major > 20 || (major === 20 && minor >= 19)
    ? finding("node", "ok", version)
    : finding("node", "failed", `${version} is too old: 20.19 or later is needed`, ExitCode.usage)
}

const sources = {
  flag: "from --log-level",
  environment: "from the environment",
  "profile file": "from the profile file",
  default: "the default"
} as const

const sourceOf = (set: Option.Option<Settings.Sourced>, name: string): string =>
  sources[Option.getOrUndefined(set)?.variables.get(name)?.source ?? "default"]

/** Each figure that is set, with its place; the others have their defaults. */
const figures = (set: Option.Option<Settings.Sourced>): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(settingNames, (names) =>
    names
      .filter((name) => name.startsWith("BATCH_"))
      .flatMap((name) => {
        const found = Option.getOrUndefined(set)?.variables.get(name)
        return found === undefined ? [] : [finding(name, "ok", `${found.value}, ${sources[found.source]}`)]
      })
  )

const profileFinding = (
  { variables }: Settings.Environment,
  set: Option.Option<Settings.Sourced>
): Finding => {
  const path = Option.getOrElse(
    Profile.path(variables),
    () => "none: neither HOME nor XDG_CONFIG_HOME is set"
  )
  switch (Option.getOrUndefined(set)?.profile) {
    case "read":
      return finding("profile file", "ok", path)
    case "missing":
      return finding("profile file", "ok", `${path} (there is none)`)
    default:
      return finding("profile file", "warning", `${path} cannot be used`)
  }
}

const settingsFindings = (
  settings: Either.Either<BatchConfig["Type"], SettingsError>,
  environment: Settings.Environment,
  set: Option.Option<Settings.Sourced>
): ReadonlyArray<Finding> => {
  const proxies = Network.proxiesSet(environment.variables).map(
    (name) => `${name}=${proxy(environment.variables[name] ?? "")}`
  )
  const noProxy = environment.variables["NO_PROXY"] ?? environment.variables["no_proxy"] ?? ""
  return [
    ...Either.match(settings, {
      onLeft: ({ detail, setting }) => [
        finding("settings", "failed", `${setting}: ${detail}`, ExitCode.usage)
      ],
      onRight: ({ apiKey, baseUrl }) => [
        finding("base URL", "ok", `${baseUrl}, ${sourceOf(set, "CRUSTDATA_BASE_URL")}`),
        Option.isSome(apiKey)
          ? finding("API key", "ok", `set (not shown), ${sourceOf(set, "CRUSTDATA_API_KEY")}`)
          : finding("API key", "failed", "not set: export CRUSTDATA_API_KEY=…", 3)
      ]
    }),
    profileFinding(environment, set),
    Option.match(
      Option.flatMap(Either.getRight(settings), (known) => proxyProblem(known, environment)),
      {
        onNone: () =>
          finding(
            "proxy",
            "ok",
            proxies.length === 0 ? "none" : [...proxies, `NO_PROXY=${noProxy}`].join(" ")
          ),
        onSome: ({ message }) => finding("proxy", "failed", message, ExitCode.usage)
      }
    )
  ]
}

const proxyProblem = ({ baseUrl }: BatchConfig["Type"], { variables }: Settings.Environment) =>
  Network.proxyProblem({ baseUrl, variables })

const proxy = (url: string): string => maskUrl(url).replace(/^[^/@]*@/u, "***@")

/**
 * Checks the API by one `list` request: one attempt, ten seconds at most. The clock is compared by its `Date` header.
 */
const reach = (settings: BatchConfig["Type"]) =>
  Effect.gen(function* () {
    const date = yield* Ref.make(Option.none<number>())
    const retry = { ...settings.retry, limit: 0, attemptTimeout: Duration.seconds(10) }
    const client = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(
        HttpClient.HttpClient,
        HttpClient.tap((response) => Ref.set(date, Option.some(Date.parse(response.headers["date"] ?? ""))))
      )
    ).pipe(Layer.provide(CoreLayer.layerNetwork), Layer.provide(Layer.succeed(BatchConfig, settings)))
    const core = layerOver(Layer.succeed(BatchConfig, { ...settings, retry })).pipe(Layer.provide(client))
    const [took, answer] = yield* Effect.flatMap(BatchClient, ({ page }) => page({ limit: 1 })).pipe(
      Effect.either,
      Effect.timed,
      Effect.provide(core)
    )
    const api = Either.match(answer, {
      onLeft: (error) => finding("API", "failed", error.message, ExitCode.ofError(error)),
      onRight: ({ jobs }) =>
        finding(
          "API",
          "ok",
          `answers in ${duration(Duration.toMillis(took))} and takes the key${jobs.length === 0 ? "; this account has no batches" : ""}`
        )
    })
    const account = Either.isRight(answer) ? yield* Effect.provide(accountFindings, core) : []
    return [api, ...account, ...Option.toArray(skew(yield* Ref.get(date), yield* Clock.currentTimeMillis))]
  })

/** What the free calls say of the account; what an older account cannot be asked is left out. */
const accountFindings: Effect.Effect<ReadonlyArray<Finding>, never, BatchClient> = Effect.gen(function* () {
  const { activeJobs, credits, entitlements, requestsPerMinute } = yield* Preflight.look()
  const told = (name: string, value: Option.Option<string>) =>
    Option.toArray(Option.map(value, (detail) => finding(name, "ok", detail)))
  return [
    ...told("credits", Option.map(credits, amount)),
    ...told(
      "requests",
      Option.map(requestsPerMinute, (number) => `${count(number)} a minute`)
    ),
    ...told(
      "active jobs",
      Option.map(activeJobs, (number) => `${number} of ${Preflight.activeJobsAtMost} at most`)
    ),
    ...told("not in plan", Option.flatMap(entitlements, notInPlan))
  ]
})

const notInPlan = ({ enabled }: Entitlements): Option.Option<string> => {
  const missing = JobKind.all.filter(({ path }) => enabled.get(`/batch/${path}`) === false)
  return Option.liftPredicate(
    missing.map(({ action, entity }) => `${entity} ${action}`).join(", "),
    (text) => text !== ""
  )
}

const tolerated = 5_000

const skew = (server: Option.Option<number>, now: number): Option.Option<Finding> =>
  server.pipe(
    Option.filter((at) => !Number.isNaN(at)),
    Option.map((at) => {
      const difference = now - at
      const text = `${duration(Math.abs(difference))} ${difference < 0 ? "behind" : "ahead of"} the server's`
      return Math.abs(difference) < tolerated
        ? finding("clock", "ok", "agrees with the server's")
        : finding(
            "clock",
            "warning",
            `${text}; links are judged by the server's clock, so this does no harm here`
          )
    })
  )

const folder = (name: string, path: string): Effect.Effect<Finding> =>
  // The working folder may have been deleted: then it has no path.
  Effect.tryPromise(async () => {
    const place = resolve(path)
    await access(place, constants.W_OK)
    return place
  }).pipe(
    Effect.bindTo("place"),
    Effect.bind("free", ({ place }) => localMachine.freeBytes(place)),
    Effect.map(({ free, place }) => {
      const room = Option.match(free, { onNone: () => "", onSome: (left) => `, ${bytes(left)} free` })
      return finding(name, "ok", `${place} is writable${room}`)
    }),
    Effect.catchAll(() => Effect.succeed(finding(name, "failed", `${path} is not writable`, ExitCode.local)))
  )
