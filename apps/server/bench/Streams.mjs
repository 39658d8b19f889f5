/** Memory of many result streams that are open at the same time, each read slowly. */
import { once } from "node:events"
import { connect } from "node:net"
import { memoryOf } from "./Processes.mjs"

const open = async (url, path) => {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  await once(socket, "connect")
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`)
  await once(socket, "readable")
  return socket
}

export const streams = async ({ serve, submit }) => {
  const id = await submit({ records: 50_000, parts: 1 })
  const service = await serve()
  const path = `/batch/${id}/results`
  const idle = memoryOf(service)
  const sockets = []
  console.log(`open result streams whose readers pause; ${idle.toFixed(0)} MiB before the first`)
  for (const count of [1, 50, 500]) {
    while (sockets.length < count) sockets.push(await open(service.url, path))
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const held = memoryOf(service)
    console.log(
      `  ${String(count).padStart(4)} open   ${held.toFixed(0)} MiB, ${((held - idle) / count).toFixed(2)} MiB each`
    )
  }
  for (const socket of sockets) socket.destroy()
}
