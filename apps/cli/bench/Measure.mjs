/**
 * Whole processes, timed by the operating system's own accounting, in pairs: A B A B …, so that a machine that
 * drifts drifts for both. Medians and ratios are what counts.
 */
import { spawn, spawnSync } from "node:child_process"

/** One run of a shell command: seconds and peak memory of its largest process. */
export const once = (command) =>
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

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const figures = (runs, figure) => {
  const values = runs.map((run) => run[figure])
  return `${median(values).toFixed(2)} s (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)})`
}

/** Runs two commands in turn, after one run of each that does not count, and prints both and their ratio. */
export const pair = async ({
  name,
  goal,
  figure = "wall",
  runs = 5,
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
      const result = await once(command)
      if (run > 0) side.push(result)
    }
  }
  const ratios = a.map((result, run) => result[figure] / b[run][figure])
  console.log(`${name}`)
  console.log(`  ours   ${figure} ${figures(a, figure)}`)
  console.log(`  peer   ${figure} ${figures(b, figure)}`)
  console.log(
    `  ratio  ${median(ratios).toFixed(2)}   difference ${(median(a.map((r) => r[figure])) - median(b.map((r) => r[figure]))).toFixed(2)} s   goal ${goal}`
  )
  return median(ratios)
}

/** Whether a program is installed. */
export const has = (program) => spawnSync("bash", ["-c", `command -v ${program}`]).status === 0

/** Peak resident memory of a Node program, in MiB, read from the kernel while it ends. */
export const peakMemory = (args, env) =>
  new Promise((resolve, reject) => {
    const report = "process.on('exit',()=>process.stderr.write('@@'+process.resourceUsage().maxRSS+'\\n'))"
    const preload = `data:text/javascript,${encodeURIComponent(report)}`
    const child = spawn(process.execPath, ["--import", preload, ...args], {
      env: { ...process.env, ...env },
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
