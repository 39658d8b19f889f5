/**
 * Results streaming in MB/s: our rows inflated and verified on the way, beside the same rows from a plain file; and beside
 * Node's zlib with nothing else to do, which no stream that is verified can be faster than.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { join } from "node:path"
import { createGunzip } from "node:zlib"
import { answers, freePort, has, median, output, start } from "./Processes.mjs"

/** Files of a folder, at next to no cost: it is who reads them that is measured. */
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
  const base = `http://127.0.0.1:${port}`
  await answers(`${base}/rows.jsonl.gz`)
  return base
}

/** An API that knows one job. */
const api = async (batch) => {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "application/json").end(JSON.stringify(batch))
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  return { server, base: `http://127.0.0.1:${server.address().port}` }
}

const fetched = async (url, ...headers) =>
  Number(await output("curl", ["-sSf", "-o", "/dev/null", "-w", "%{time_total}", ...headers, url]))

const inflated = async (bytes) => {
  const begun = performance.now()
  const gunzip = createGunzip({ chunkSize: 1_048_576 })
  gunzip.resume().end(bytes)
  await once(gunzip, "end")
  return (performance.now() - begun) / 1000
}

export const results = async ({ folder, linksOf, running, serve, submit }) => {
  if (!has("curl") || !has("nginx", "nginx-light")) return
  const records = Number(process.env.BENCH_RECORDS ?? 100_000)
  const batch = await linksOf(await submit({ records }))
  const file = join(folder, "rows.jsonl")
  await output("curl", ["-sSf", "-o", `${file}.gz`, batch.download_url])
  await output("bash", ["-c", `gzip -dc ${file}.gz > ${file}`])
  const files = await nginx(folder, running)
  const { base, server } = await api({ ...batch, download_url: `${files}/rows.jsonl.gz`, download_urls: [] })
  const { url } = await serve({ CRUSTDATA_BASE_URL: base })
  const peer = await start(new URL("FilePeer.mjs", import.meta.url).pathname, { FILE: file }, /(http:\S+)/)
  running.push(peer)
  const rows = `${url}/batch/${batch.batch_id}/results`
  const columns = "columns=original_identifier,internal_id"
  const delivered = await readFile(`${file}.gz`)
  const sides = [
    ["node:http, pipe of a file", () => fetched(peer.said[1])],
    ["nginx, the same file", () => fetched(`${files}/rows.jsonl`)],
    ["node:zlib alone, inflating", () => inflated(delivered)],
    ["service, rows", () => fetched(rows)],
    ["service, bytes as delivered", () => fetched(rows, "-H", "accept: application/gzip")],
    ["service, CSV of two columns", () => fetched(`${rows}?${columns}`, "-H", "accept: text/csv")]
  ]
  const runs = sides.map(() => [])
  for (let run = 0; run < 8; run++) {
    for (const [index, [, measure]] of sides.entries()) {
      const result = await measure()
      if (run > 2) runs[index].push(result)
    }
  }
  server.close()
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
