/** What one `batchctl status` costs over a bare Node script that makes the same request. */
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
  await pair({
    name: "start-up: CPU of `batchctl status` beside a bare script with the same request",
    goal: "a difference of at most 0.25 s",
    figure: "cpu",
    runs: 11,
    ours: `node ${batchctl} status ${id}`,
    peer: `node ${script} ${id}`
  })
}
