/** Requests per second of a job's status from the cache, beside servers that do nothing but answer. */
import { cpuOf, has, median, output, start } from "./Processes.mjs"

const load = async (url) => {
  const text = await output("wrk", ["-t1", "-c32", "-d3s", "--latency", url])
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)[1]),
    count: Number(/(\d+) requests in/.exec(text)[1]),
    p99: /99%\s+(\S+)/.exec(text)[1]
  }
}

const measure = async (side) => {
  const before = cpuOf(side)
  const { count, p99, rate } = await load(side.url)
  return { rate, p99, cpu: ((cpuOf(side) - before) / count) * 1e6 }
}

export const requests = async ({ running, serve, submit }) => {
  if (!has("wrk")) return
  const id = await submit({ records: 250, parts: 3 })
  const service = await serve({ LOG_LEVEL: "none" })
  const logging = await serve()
  const path = `/batch/${id}`
  const body = await (await fetch(`${service.url}${path}`)).text()
  const peers = []
  for (const name of ["raw", "fastify"]) {
    const peer = await start(
      new URL("Peer.mjs", import.meta.url).pathname,
      { PEER: name, BODY: body },
      /(http:\S+)/
    )
    running.push(peer)
    peers.push({ ...peer, name, url: `${peer.said[1]}${path}` })
  }
  const sides = [
    ...peers,
    { ...service, name: "service", url: `${service.url}${path}` },
    { ...logging, name: "service, a log line each", url: `${logging.url}${path}` }
  ]
  for (const side of sides) await measure(side)
  const runs = sides.map(() => [])
  for (let run = 0; run < 5; run++) {
    for (const [index, side] of sides.entries()) runs[index].push(await measure(side))
  }
  const raw = runs[0]
  console.log(`GET ${path.replace(id, "{batch_id}")} from the cache, ${body.length} bytes; goal 0.3 of raw`)
  sides.forEach(({ name }, index) => {
    const rates = runs[index].map((result, run) => result.rate / raw[run].rate)
    const costs = runs[index].map((result, run) => raw[run].cpu / result.cpu)
    console.log(
      `  ${name.padEnd(26)} ${median(runs[index].map(({ rate }) => rate))
        .toFixed(0)
        .padStart(6)}/s   p99 ${runs[index][2].p99.padEnd(8)} ` +
        `CPU ${median(runs[index].map(({ cpu }) => cpu)).toFixed(1)} µs   of raw ${median(rates).toFixed(2)} by rate, ${median(costs).toFixed(2)} by CPU`
    )
  })
}
