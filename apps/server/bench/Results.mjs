/** Results streaming in MB/s: our rows inflated and verified on the way, beside the same rows from a plain file. */
import { spawn } from "node:child_process"
import { chmod, mkdir, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Host from "../../cli/bench/Host.mjs"
import { answers, freePort, has, median, output, start } from "./Processes.mjs"

const nginx = async (folder, running) => {
  const port = await freePort()
  const home = join(folder, "nginx")
  await mkdir(home)
  await chmod(folder, 0o755)
  await writeFile(
    join(home, "nginx.conf"),
    `daemon off; pid ${home}/pid; error_log ${home}/error.log; worker_processes 1; events {}
     http { access_log off; sendfile on; client_body_temp_path ${home}/a; proxy_temp_path ${home}/b;
     fastcgi_temp_path ${home}/c; uwsgi_temp_path ${home}/d; scgi_temp_path ${home}/e;
     server { listen 127.0.0.1:${port}; root ${folder}; } }`
  )
  const child = spawn("nginx", ["-c", join(home, "nginx.conf"), "-p", home], { stdio: "ignore" })
  running.push({ child })
  const url = `http://127.0.0.1:${port}/rows.jsonl`
  await answers(url)
  return url
}

const fetched = async (url, ...headers) =>
  Number(await output("curl", ["-sSf", "-o", "/dev/null", "-w", "%{time_total}", ...headers, url]))

export const results = async (context) => {
  if (!has("curl") || !has("nginx", "nginx-light")) return
  const host = await Host.start(context)
  try {
    await compare({ ...context, host })
  } finally {
    await host.stop()
  }
}

const compare = async ({ folder, host, records, running, serve }) => {
  const id = host.job("single")
  const { url } = await serve({ CRUSTDATA_BASE_URL: host.baseUrl })
  const file = join(folder, "rows.jsonl")
  await output("curl", ["-sSf", "-o", file, `${url}/batch/${id}/results`])
  const peer = await start(new URL("FilePeer.mjs", import.meta.url).pathname, { FILE: file }, /(http:\S+)/)
  running.push(peer)
  const sides = [
    ["node:http, pipe of a file", peer.said[1]],
    ["nginx, the same file", await nginx(folder, running)],
    ["service, rows", `${url}/batch/${id}/results`],
    ["service, bytes as delivered", `${url}/batch/${id}/results`, "-H", "accept: application/gzip"],
    [
      "service, CSV of two columns",
      `${url}/batch/${id}/results?columns=original_identifier,internal_id`,
      "-H",
      "accept: text/csv"
    ]
  ]
  const runs = sides.map(() => [])
  for (let run = 0; run < 6; run++) {
    for (const [index, [, ...request]] of sides.entries()) {
      const result = await fetched(...request)
      if (run > 0) runs[index].push(result)
    }
  }
  const { size } = await stat(file)
  console.log(
    `results of ${records} rows, ${(size / 1e6).toFixed(0)} MB decompressed, which all speeds refer to; goal 0.8 of node:http's pipe for the rows`
  )
  sides.forEach(([name], index) => {
    const speed = size / 1e6 / median(runs[index])
    const ratio = median(runs[index].map((seconds, run) => runs[0][run] / seconds))
    console.log(
      `  ${name.padEnd(28)} ${speed.toFixed(0).padStart(5)} MB/s   ${ratio.toFixed(2)} of node:http's pipe`
    )
  })
}
