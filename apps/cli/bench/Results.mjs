/** Results to disk, beside the tools that people would use instead. */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { mib, pair, timed } from "./Measure.mjs"
import { unproven } from "./Unproven.mjs"

export const results = async ({ batchctl, folder, host, records }) => {
  const at = (name) => join(folder, name)
  const [ours, peer] = [at("ours.jsonl.gz"), at("peer.jsonl.gz")]
  const download = (program, name, output) =>
    `node ${program} download ${host.job(name)} --quiet --force -o ${output}`
  const whole = `${records} rows, ${mib(await host.bytes("merged"))}`

  for (const name of ["merged", "single", "parts"]) {
    await pair({
      name: `download with proof (${name}: ${whole}) beside curl | tee | gunzip | wc -l`,
      goal: "at most 1, aim for 0.5",
      ours: download(batchctl, name, ours),
      peer: `curl -sS '${host.link("merged")}' | tee ${peer} | gunzip | wc -l`
    })
  }
  const transfer = await unproven(folder)
  await pair({
    name: "the bytes alone, synced and journalled, beside curl -o",
    goal: "at most 1.4, aim for 1.1",
    // What curl leaves to be written later is not to be waited for by us.
    before: () => timed("sync"),
    ours: `BENCH_RECORDS=${records} ${download(transfer, "merged", ours)}`,
    peer: `curl -sS -o ${peer} '${host.link("merged")}'`
  })
  for (const [name, files, goal] of [
    ["parts", `${host.path("parts")}/*`, 0.3],
    ["merged", host.path("merged"), 0.5],
    ["single", host.path("single"), 0.5]
  ]) {
    // Without a receipt every line would be read as JSON as well.
    const proven = name === "parts" ? at("proven") : at(`proven-${name}.jsonl.gz`)
    await timed(`${download(batchctl, name, proven)} --receipt${name === "parts" ? " --parts" : ""}`)
    await pair({
      name: `proof alone (${name}) beside gzip -dc | wc -l`,
      goal: `at most ${goal}`,
      ours: `node ${batchctl} verify ${proven}`,
      peer: `gzip -dc ${files} | wc -l`
    })
  }
  const [oursJson, peerJson, json] = [at("ours.jsonl"), at("peer.jsonl"), at("rows.jsonl")]
  await timed(`gzip -dc ${host.path("merged")} > ${json}`)
  await pair({
    name: "decompressed to disk beside the proof alone and the write, synced",
    goal: "at most 1.1",
    ours: download(batchctl, "merged", oursJson),
    peer: `node ${batchctl} verify ${host.path("merged")} && dd if=${json} of=${peerJson} bs=1M conv=fsync status=none`
  })
  for (const file of [ours, peer, oursJson, peerJson, json]) await rm(file, { force: true })
}
