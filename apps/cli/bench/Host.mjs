/**
 * A result behind nginx, which sends files at next to no cost, so that it is the clients that are measured; and an
 * API that leads to it. The rows are the sandbox's own.
 */
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { mkdir, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { sizeOf, timed } from "./Measure.mjs"

const names = Array.from({ length: 8 }, (_, part) => `parts/rows.part-00${part}.jsonl.gz`)

/**
 * The rows as one file of eight gzip members (`merged`), as those eight in files of their own (`parts`), and as one
 * file of one member (`single`); a tenth of them (`tenth`); and all of them five times over (`fivefold`). The file
 * host gives as much as it can, or so many bytes a second to each connection.
 */
export const start = async ({ folder, linksOf, records, submit }) => {
  const files = join(folder, "files")
  await mkdir(join(files, "parts"), { recursive: true })
  const tenth = Math.ceil(records / 10)
  const whole = await linksOf(await submit({ records, parts: names.length }))
  const less = await linksOf(await submit({ records: tenth }))
  const wanted = [...names, "single.jsonl.gz", "tenth.jsonl.gz"]
  for (const [index, link] of [...whole.download_urls, whole.download_url, less.download_url].entries()) {
    await timed(`curl -sSf -o ${join(files, wanted[index])} '${link}'`)
  }
  await timed(`cd ${files} && cat ${names.join(" ")} > merged.jsonl.gz`)
  await timed(`cd ${files} && cat ${"merged.jsonl.gz ".repeat(5)} > fivefold.jsonl.gz`)

  const port = await freePort()
  await writeFile(join(folder, "nginx.conf"), configuration(folder, files, port))
  const nginx = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "ignore" })
  await isUp(port)

  const link = (name, rate = 0) => `http://127.0.0.1:${port}/${name}?rate=${rate}`
  const rows = { tenth, fivefold: 5 * records }
  const batches = new Map()
  const api = createServer(({ url }, response) => {
    response.setHeader("content-type", "application/json").end(JSON.stringify(batches.get(url)))
  }).listen(0, "127.0.0.1")
  await once(api, "listening")

  return {
    baseUrl: `http://127.0.0.1:${api.address().port}`,
    /** The id of a job whose result this is. */
    job: (name, rate) => {
      const id = randomUUID()
      const links =
        name === "parts"
          ? { download_urls: names.map((part) => link(part, rate)) }
          : { download_url: link(`${name}.jsonl.gz`, rate) }
      const batch = { batch_id: id, status: "completed", result_count: rows[name] ?? records, ...links }
      batches.set(`/batch/${id}`, batch)
      return id
    },
    link: (name) => link(`${name}.jsonl.gz`),
    /** Where the result lies; of the parts, their folder. */
    path: (name) => join(files, name === "parts" ? name : `${name}.jsonl.gz`),
    bytes: (name) => sizeOf(join(files, `${name}.jsonl.gz`)),
    stop: async () => {
      api.close()
      nginx.kill("SIGQUIT")
      await once(nginx, "exit")
    }
  }
}

const configuration = (folder, files, port) => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; sendfile on;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server { listen 127.0.0.1:${port}; root ${files}; limit_rate $arg_rate; }
}
`

/** A port of loopback that nobody listens on. */
const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  await new Promise((resolve) => server.close(resolve))
  return port
}

const isUp = async (port) => {
  for (let patience = 100; patience > 0; patience--) {
    const socket = connect(port, "127.0.0.1")
    const up = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "close").then(() => false)
    ])
      .catch(() => false)
      .finally(() => socket.destroy())
    if (up) return
    await sleep(50)
  }
  throw new Error("nginx does not listen")
}
