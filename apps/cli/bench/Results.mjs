/** Results to disk, beside the tools that people would use instead. */
import { rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { has, pair, peakMemory } from "./Measure.mjs"

const mib = (bytes) => `${(bytes / 1_048_576).toFixed(0)} MiB`

export const results = async ({ batchctl, folder, submit, linkOf, records }) => {
  for (const tool of ["curl", "gunzip", "tee", "wc"]) {
    if (!has(tool)) return console.log(`skipped: ${tool} is not installed`)
  }
  const [ours, peer] = [join(folder, "ours.jsonl.gz"), join(folder, "peer.jsonl.gz")]
  const id = await submit({ records, parts: 8, members: 8 })
  const get = `node ${batchctl} download ${id} --quiet --force -o`
  await pair({
    name: `download to disk with proof, ${records} rows, beside curl | tee | gunzip | wc -l`,
    goal: "at most 1, aim for 0.5",
    runs: 3,
    ours: `${get} ${ours}`,
    peer: `curl -sS '${await linkOf(id)}' | tee ${peer} | gunzip | wc -l`
  })
  console.log(`  of ${mib((await stat(ours)).size)}`)
  await pair({
    name: "proof of a file on disk beside gzip -dc | wc -l",
    goal: "at most 0.5",
    runs: 3,
    ours: `node ${batchctl} verify ${ours}`,
    peer: `gzip -dc ${peer} | wc -l`
  })
  await pair({
    name: "decompressed to disk beside proof alone and the write",
    goal: "at most 1.1 of the proof plus the write",
    runs: 3,
    ours: `${get} ${join(folder, "ours.jsonl")}`,
    peer: `node ${batchctl} verify ${ours} && gzip -dc ${peer} > ${join(folder, "peer.jsonl")}`
  })
  await Promise.all(
    ["ours.jsonl", "peer.jsonl", "peer.jsonl.gz"].map((name) => rm(join(folder, name), { force: true }))
  )

  const empty = await peakMemory(["-e", "0"])
  for (const rows of [Math.ceil(records / 10), records]) {
    const small = await submit({ records: rows })
    const peak = await peakMemory([batchctl, "download", small, "--quiet", "--force", "-o", ours])
    const size = mib((await stat(ours)).size)
    console.log(
      `memory for ${size}: ${peak.toFixed(0)} MiB, ${(peak - empty).toFixed(0)} over an empty process; goal at most 128`
    )
  }
}
