/** The same command again after SIGKILL, when nine tenths of the time were over. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { median, timed } from "./Measure.mjs"

/** Four connections of 8 MiB/s each are slower than the proof; on loopback it is the proof that takes the time. */
const rates = { "at 32 MiB/s": "8m", "on loopback": "0" }

export const resume = async ({ batchctl, folder, host }) => {
  const output = join(folder, "resumed.jsonl.gz")
  for (const [where, rate] of Object.entries(rates)) {
    for (const name of ["merged", "single", "parts"]) {
      const words = [
        batchctl,
        "download",
        host.job(name, rate),
        "--quiet",
        "--concurrency",
        "4",
        "-o",
        output
      ]
      const command = `node ${words.join(" ")}`
      const runs = []
      for (let count = 0; count < 6 && runs.length < 3; count++) {
        const full = await timed(command)
        await rm(output)
        if (!(await killed(words, 900 * full.wall))) {
          await rm(output)
          continue
        }
        const rest = await timed(command)
        await rm(output)
        runs.push({ full: full.wall, rest: rest.wall, ratio: rest.wall / full.wall })
      }
      const middle = (figure) => median(runs.map((run) => run[figure])).toFixed(2)
      console.log(`resumed at 90 % of the time ${where} (${name})`)
      console.log(`  full   ${middle("full")} s\n  rest   ${middle("rest")} s`)
      console.log(`  ratio  ${middle("ratio")}   goal at most 0.2`)
    }
  }
}

/** Ends a run after so many milliseconds, unless it was over by then. */
const killed = async (words, time) => {
  const child = spawn(process.execPath, words, { stdio: "ignore" })
  const ended = once(child, "exit")
  await sleep(time)
  const isUnderWay = child.kill("SIGKILL")
  await ended
  return isUnderWay
}
