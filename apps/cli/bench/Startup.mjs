/**
 * What `batchctl --version` costs beside an empty script, and `batchctl status` beside a bare one that makes the same
 * request: both with the code that V8 keeps of an earlier run. What a first run costs, beside one that keeps nothing.
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { pair } from "./Measure.mjs"

const bare = `import http from "node:http"
const headers = { authorization: "Bearer " + process.env.CRUSTDATA_API_KEY }
http.get(process.env.CRUSTDATA_BASE_URL + "/batch/" + process.argv[2], { headers }, (response) => {
  let text = ""
  response.on("data", (chunk) => (text += chunk))
  response.on("end", () => console.log(JSON.parse(text).status))
})
`

export const startup = async ({ batchctl, folder, submit }) => {
  const id = await submit({ records: 10 })
  const script = join(folder, "bare.mjs")
  await writeFile(script, bare)
  const empty = join(folder, "empty.mjs")
  await writeFile(empty, "")
  const cache = `XDG_CACHE_HOME=${join(folder, "cache")}`
  await pair({
    name: "start-up: CPU of `batchctl --version` beside an empty script",
    goal: "at most 1.3",
    figure: "cpu",
    runs: 11,
    ours: `node ${batchctl} --version`,
    peer: `node ${empty}`
  })
  await pair({
    name: "start-up: CPU of `batchctl status` beside a bare script with the same request",
    goal: "at most 2.5",
    figure: "cpu",
    runs: 11,
    ours: `${cache} node ${batchctl} status ${id}`,
    peer: `node ${script} ${id}`
  })
  await pair({
    name: "start-up: CPU of a first `batchctl status` beside one that keeps nothing",
    goal: "at most 1.15",
    figure: "cpu",
    runs: 11,
    ours: `rm -rf ${join(folder, "first")}; XDG_CACHE_HOME=${join(folder, "first")} node ${batchctl} status ${id}`,
    peer: `NODE_DISABLE_COMPILE_CACHE=1 node ${batchctl} status ${id}`
  })
}
