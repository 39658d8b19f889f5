/** The same command again after SIGKILL, when nine tenths of the bytes were here. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFile, rm } from "node:fs/promises"
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
      for (let count = 0; count < 3; count++) {
        const full = await timed(command)
        await rm(output)
        await killed(words, `${output}.journal`, 0.9 * (await host.bytes("merged")))
        const rest = await timed(command)
        await rm(output)
        runs.push({ full: full.wall, rest: rest.wall, ratio: rest.wall / full.wall })
      }
      const middle = (figure) => median(runs.map((run) => run[figure])).toFixed(2)
      console.log(`resumed at 90 % of the bytes ${where} (${name})`)
      console.log(`  full   ${middle("full")} s\n  rest   ${middle("rest")} s`)
      console.log(`  ratio  ${middle("ratio")}   goal at most 0.2`)
    }
  }
}

/** A run that ends when its journal claims so many bytes. */
const killed = async (words, journal, enough) => {
  const child = spawn(process.execPath, words, { stdio: "ignore" })
  const ended = once(child, "exit")
  while ((await claimed(journal)) < enough) {
    if (child.exitCode !== null) throw new Error("it ended before it could be killed")
    await sleep(2)
  }
  child.kill("SIGKILL")
  await ended
}

const claimed = async (journal) => {
  const text = await readFile(journal, "utf8").catch(() => '{"entries":[]}')
  const cells = JSON.parse(text).entries.flatMap((entry) => entry.cells)
  return cells.reduce((sum, [filled]) => sum + filled, 0)
}
