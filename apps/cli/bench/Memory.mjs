/** What a download holds in memory, whatever its size. */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { mib, peakMemory, sizeOf } from "./Measure.mjs"

export const memory = async ({ batchctl, folder, host }) => {
  const empty = await peakMemory(["-e", "0"])
  console.log(`memory: an empty process takes ${empty.toFixed(0)} MiB; goal at most 128 over that`)
  for (const [name, extension] of [
    ["tenth", "jsonl.gz"],
    ["fivefold", "jsonl.gz"],
    ["parts", "jsonl.gz"],
    ["tenth", "jsonl"],
    ["merged", "jsonl"]
  ]) {
    const output = join(folder, `memory.${extension}`)
    const peak = await peakMemory([batchctl, "download", host.job(name), "--quiet", "-o", output])
    console.log(
      `  ${name}, ${mib(await sizeOf(output))} of ${extension}: ${(peak - empty).toFixed(0)} MiB over that`
    )
    await rm(output)
  }
}
