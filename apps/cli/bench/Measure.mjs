/**
 * Whole processes, timed by the operating system's own accounting, in pairs: A B A B …, so that a machine that
 * drifts drifts for both. Medians and ratios are what counts.
 */
import { spawn, spawnSync } from "node:child_process"
import { stat } from "node:fs/promises"

/** One run of a shell command, in seconds. */
export const timed = (command) =>
  new Promise((resolve, reject) => {
    const script = `TIMEFORMAT='@@ %R %U %S'; time { ${command} ; } > /dev/null`
    const child = spawn("bash", ["-o", "pipefail", "-c", script], { stdio: ["ignore", "ignore", "pipe"] })
    let errors = ""
    child.stderr.on("data", (chunk) => (errors += chunk))
    child.on("close", (code) => {
      const [, wall, user, sys] = /@@ ([\d.]+) ([\d.]+) ([\d.]+)/.exec(errors) ?? []
      if (code !== 0 || wall === undefined) reject(new Error(`${command}\nended with ${code}:\n${errors}`))
      else resolve({ wall: Number(wall), cpu: Number(user) + Number(sys) })
    })
  })

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const figures = (runs, figure) => {
  const values = runs.map((run) => run[figure])
  return `${median(values).toFixed(2)} s (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`
}

/** Runs two commands in turn, after one run of each that does not count, and prints both and their ratio. */
export const pair = async ({
  name,
  goal,
  figure = "wall",
  runs = Number(process.env.BENCH_RUNS ?? 5),
  ours,
  peer,
  before = async () => {}
}) => {
  const [a, b] = [[], []]
  for (let run = 0; run <= runs; run++) {
    for (const [side, command] of [
      [a, ours],
      [b, peer]
    ]) {
      await before()
      const result = await timed(command)
      if (run > 0) side.push(result)
    }
  }
  const ratios = a.map((result, run) => result[figure] / b[run][figure])
  console.log(`${name}`)
  for (const [side, results] of Object.entries({ ours: a, peer: b })) {
    const other = figure === "wall" ? `   cpu ${median(results.map(({ cpu }) => cpu)).toFixed(2)} s` : ""
    console.log(`  ${side}   ${figure} ${figures(results, figure)}${other}`)
  }
  console.log(
    `  ratio  ${median(ratios).toFixed(2)}   difference ${(median(a.map((r) => r[figure])) - median(b.map((r) => r[figure]))).toFixed(2)} s   goal ${goal}`
  )
  return median(ratios)
}

/** Whether programs are installed; on Debian, and as root, they are installed where they are missing. */
export const have = (packages) => {
  const isMissing = (program) => spawnSync("bash", ["-c", `command -v ${program}`]).status !== 0
  const missing = () => Object.keys(packages).filter(isMissing)
  const wanted = missing().map((program) => packages[program])
  if (wanted.length > 0 && process.getuid?.() === 0 && !isMissing("apt-get")) {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" }
    for (const words of [["update"], ["install", "-y", "--no-install-recommends", ...wanted]]) {
      spawnSync("apt-get", words, { env, stdio: "ignore" })
    }
  }
  const left = missing()
  if (left.length > 0) console.log(`skipped: ${left.join(", ")} could not be installed`)
  return left.length === 0
}

export const mib = (bytes) => `${(bytes / 1_048_576).toFixed(0)} MiB`

export const sizeOf = async (path) => (await stat(path)).size

/** Peak resident memory of a Node program, in MiB, read from the kernel while it ends. */
export const peakMemory = (args) =>
  new Promise((resolve, reject) => {
    const report = "process.on('exit',()=>process.stderr.write('@@'+process.resourceUsage().maxRSS+'\\n'))"
    const preload = `data:text/javascript,${encodeURIComponent(report)}`
    const child = spawn(process.execPath, ["--import", preload, ...args], {
      stdio: ["ignore", "ignore", "pipe"]
    })
    let errors = ""
    child.stderr.on("data", (chunk) => (errors += chunk))
    child.on("close", (code) => {
      const peak = /@@(\d+)/.exec(errors)?.[1]
      if (code !== 0 || peak === undefined) reject(new Error(`ended with ${code}: ${errors}`))
      else resolve(Number(peak) / 1024)
    })
  })
