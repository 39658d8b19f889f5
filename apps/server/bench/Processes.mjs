/** Processes that a measurement needs: started, waited for, read from the kernel's own accounting, and ended. */
import { build } from "esbuild"
import { execFile, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { promisify } from "node:util"

/** Starts a program of Node and waits until what it prints matches. */
export const start = async (file, variables, announces) => {
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...variables },
    stdio: ["ignore", "pipe", "inherit"]
  })
  let text = ""
  const said = await new Promise((resolve, reject) => {
    child.stdout.on("data", (chunk) => {
      text = (text + chunk).slice(-10_000)
      const found = announces.exec(text)
      if (found !== null) resolve(found)
    })
    child.once("exit", () => reject(new Error(`${file} ended before it said what it should: ${text}`)))
  })
  child.stdout.removeAllListeners("data").resume()
  return { child, said }
}

/** A port that nobody listens on. */
export const freePort = async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address()
  server.close()
  return port
}

/** Waits until a server answers, 10 seconds at most. */
export const answers = async (url) => {
  for (let tries = 0; tries < 100; tries++) {
    const there = await fetch(url, { method: "HEAD" }).catch(() => undefined)
    if (there?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`nobody answers at ${new URL(url).origin}`)
}

/** Ends a program. */
export const stop = async ({ child }) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill("SIGTERM")
  await once(child, "exit")
}

/** Makes a program of TypeScript that Node can run. */
export const bundled = async (file, folder) => {
  const outfile = join(folder, file.replace(/\.ts$/, ".mjs"))
  await build({
    absWorkingDir: import.meta.dirname,
    entryPoints: [file],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "warning"
  })
  return outfile
}

/** Seconds of CPU that a process has used so far. */
export const cpuOf = ({ child }) => {
  const [, user, system] = /^.*\) (?:\S+ ){11}(\d+) (\d+)/.exec(
    readFileSync(`/proc/${child.pid}/stat`, "utf8")
  )
  return (Number(user) + Number(system)) / 100
}

/** MiB that a process holds now. */
export const memoryOf = ({ child }) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]) / 1024

/** Whether a program is there; missing ones are installed from Debian where we may. */
export const has = (program, debian = program) => {
  const found = () => spawnSync("bash", ["-c", `command -v ${program}`]).status === 0
  if (found()) return true
  spawnSync("bash", ["-c", `apt-get update -qq && apt-get install -y -qq ${debian}`], { stdio: "ignore" })
  if (!found()) console.log(`skipped: ${program} is not installed (Debian's ${debian})`)
  return found()
}

/** What a command prints, while we go on answering. */
export const output = async (command, args) => (await promisify(execFile)(command, args)).stdout

/** The middle one. */
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
