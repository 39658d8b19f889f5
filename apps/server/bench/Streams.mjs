/** Memory of many result streams that are open at the same time, whose readers pause, beside as many of a peer. */
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { connect } from "node:net"
import { join } from "node:path"
import { memoryOf, start } from "./Processes.mjs"

const open = async (url, accept) => {
  const { hostname, pathname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, "connect")
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\naccept: ${accept}\r\n\r\n`)
  await once(socket, "readable")
  return socket
}

const measure = async (side, accept, counts) => {
  const idle = memoryOf(side)
  const sockets = []
  const each = []
  for (const count of counts) {
    while (sockets.length < count) sockets.push(await open(side.url, accept))
    await new Promise((resolve) => setTimeout(resolve, 3000))
    each.push((memoryOf(side) - idle) / count)
  }
  for (const socket of sockets) socket.destroy()
  return each
}

export const streams = async ({ folder, running, serve, submit }) => {
  const counts = [50, 500]
  const id = await submit({ records: 50_000, parts: 1 })
  const file = join(folder, "paused.jsonl")
  await writeFile(file, Buffer.alloc(64 * 1024 * 1024, "a"))
  const peer = await start(new URL("FilePeer.mjs", import.meta.url).pathname, { FILE: file }, /(http:\S+)/)
  running.push(peer)
  const piped = await measure({ ...peer, url: peer.said[1] }, "*/*", counts)
  console.log(
    `open result streams whose readers pause, MiB each at ${counts.join(", ")} of them; goal 1 at most at 500`
  )
  const say = (name, each) =>
    console.log(
      `  ${name.padEnd(28)} ${each.map((mebibytes) => mebibytes.toFixed(2)).join("   ")} MiB   ` +
        `at 500 ${(each.at(-1) / piped.at(-1)).toFixed(1)} of node:http's pipe`
    )
  say("node:http, pipe of a file", piped)
  for (const [name, accept] of [
    ["service, rows", "application/x-ndjson"],
    ["service, bytes as delivered", "application/gzip"]
  ]) {
    const { child, url } = await serve({ LOG_LEVEL: "none" })
    say(name, await measure({ child, url: `${url}/batch/${id}/results` }, accept, counts))
  }
}
