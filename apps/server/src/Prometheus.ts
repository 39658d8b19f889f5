/**
 * Effect's metrics in the Prometheus text format, version 0.0.4.
 */
import { Array as Arrays, Effect, Metric, type MetricPair, MetricState, Option } from "effect"
import { version } from "./Version.js"

type Labels = ReadonlyArray<readonly [name: string, value: string]>

const escaped = (text: string): string =>
  text.replace(/[\\"\n]/gu, (char) => (char === "\n" ? String.raw`\n` : `\\${char}`))

const sample = (name: string, labels: Labels, value: number | bigint): string => {
  const pairs = labels.map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}`
}

const samples = (name: string, labels: Labels, state: unknown): ReadonlyArray<string> => {
  if (MetricState.isCounterState(state)) return [sample(name, labels, state.count)]
  if (MetricState.isGaugeState(state)) return [sample(name, labels, state.value)]
  if (!MetricState.isHistogramState(state)) return []
  return [
    ...state.buckets
      .filter(([upper]) => Number.isFinite(upper))
      .map(([upper, below]) => sample(`${name}_bucket`, [...labels, ["le", String(upper)]], below)),
    sample(`${name}_bucket`, [...labels, ["le", "+Inf"]], state.count),
    sample(`${name}_sum`, labels, state.sum),
    sample(`${name}_count`, labels, state.count)
  ]
}

const typeOf = (state: unknown): string =>
  MetricState.isCounterState(state) ? "counter" : MetricState.isHistogramState(state) ? "histogram" : "gauge"

const family = (
  pairs: Arrays.NonEmptyReadonlyArray<MetricPair.MetricPair.Untyped>
): ReadonlyArray<string> => {
  const [{ metricKey, metricState }] = pairs
  const { description, name } = metricKey
  return [
    ...Option.toArray(Option.map(description, (text) => `# HELP ${name} ${text.replaceAll("\n", " ")}`)),
    `# TYPE ${name} ${typeOf(metricState)}`,
    ...pairs.flatMap((pair) =>
      samples(
        name,
        pair.metricKey.tags.map(({ key, value }) => [key, value]),
        pair.metricState
      )
    )
  ]
}

/** All metrics of the core and the service, and the process's memory and CPU time. */
export const text: Effect.Effect<string> = Effect.map(Metric.snapshot, (pairs) => {
  const ours = pairs.filter(({ metricKey }) => metricKey.name.startsWith("batch_"))
  const families = Object.values(Arrays.groupBy(ours, ({ metricKey }) => metricKey.name))
  return [...families.flatMap(family), ...ofBuild, ...ofProcess(), ""].join("\n")
})

/** A line about a metric that is no Effect metric. */
const single = (
  name: string,
  type: "counter" | "gauge",
  help: string,
  value: number,
  labels: Labels = []
): ReadonlyArray<string> => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, sample(name, labels, value)]

/** Lines about a gauge with several samples. */
export const gauges = (
  name: string,
  help: string,
  values: ReadonlyArray<readonly [Labels, number]>
): ReadonlyArray<string> => [
  `# HELP ${name} ${help}`,
  `# TYPE ${name} gauge`,
  ...values.map(([labels, value]) => sample(name, labels, value))
]

const ofBuild = single("batch_server_build_info", "gauge", "The version of the service; always 1.", 1, [
  ["version", version],
  ["node_version", process.versions.node]
])

const ofProcess = (): ReadonlyArray<string> => {
  const { system, user } = process.cpuUsage()
  const started = Math.round(performance.timeOrigin / 1000)
  return [
    ...single("process_resident_memory_bytes", "gauge", "Resident memory.", process.memoryUsage.rss()),
    ...single("process_cpu_seconds_total", "counter", "CPU time, user and system.", (user + system) / 1e6),
    ...single(
      "process_start_time_seconds",
      "gauge",
      "When the process started, in seconds of the epoch.",
      started
    )
  ]
}
