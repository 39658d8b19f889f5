import { execFile, spawn } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { publint } from "publint"
import { afterAll, beforeAll, describe, expect, it } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

let folder = ""
let tarball = ""
const consumer = () => join(folder, "consumer")

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "batch-server-package-")))
  await run("pnpm", ["pack", "--pack-destination", folder], root)
  const [name = ""] = await readdir(folder)
  tarball = join(folder, name)
  await mkdir(consumer())
  await writeFile(join(consumer(), "package.json"), `{ "private": true }`)
  await run(
    "npm",
    ["install", "--offline", "--omit=optional", "--no-audit", "--no-fund", tarball],
    consumer()
  )
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe("the packed tarball", { timeout: 300_000 }, () => {
  it("brings no dependency along but the engine of retrievals, which may be left out", async () => {
    const installed = await readdir(join(consumer(), "node_modules"))
    expect(installed.filter((name) => !name.startsWith("."))).toEqual(["@org"])
    expect(await readdir(join(consumer(), "node_modules/@org"))).toEqual(["batch-server"])
    const shipped = join(consumer(), "node_modules/@org/batch-server")
    expect(await readdir(join(shipped, "dist"))).toEqual(["batch-server.js", "chunks", "database.tar.gz"])
    const { dependencies, optionalDependencies } = JSON.parse(
      await readFile(join(shipped, "package.json"), "utf8")
    )
    expect([dependencies, Object.keys(optionalDependencies)]).toEqual([
      undefined,
      ["@aws-sdk/client-s3", "@aws-sdk/lib-storage", "@electric-sql/pglite", "pg", "pg-boss"]
    ])
  })

  it("pleases publint", async () => {
    const packed = await readFile(tarball)
    const { messages } = await publint({ pack: { tarball: Uint8Array.from(packed).buffer }, strict: true })
    expect(messages).toEqual([])
  })

  it("runs outside the repository", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
    const env = {
      PATH: process.env["PATH"],
      PORT: "0",
      BATCH_SERVER_STATE: join(folder, "state"),
      CRUSTDATA_BASE_URL: "http://127.0.0.1:1"
    }
    const service = spawn("node_modules/.bin/batch-server", {
      cwd: consumer(),
      env,
      stdio: ["ignore", "pipe", "inherit"]
    })
    try {
      const url = await new Promise<string>((resolve, reject) => {
        let text = ""
        service.stdout.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk
          const [, found] = /listening on (http:\/\/[\d.]+:\d+)/u.exec(text) ?? []
          if (found !== undefined) resolve(found)
        })
        service.on("close", () => reject(new Error(`it did not start: ${text}`)))
      })
      const document: { readonly info: object } = JSON.parse(
        await (await fetch(`${url}/openapi.json`)).text()
      )
      expect(document.info).toMatchObject({ version })
      expect(await (await fetch(`${url}/docs`)).text()).toContain("<html")
      const refused = await fetch(`${url}/retrievals`, {
        method: "POST",
        headers: { authorization: "Bearer key", "content-type": "application/json" },
        body: JSON.stringify({
          batch_id: "00000000-0000-4000-8000-000000000000",
          destination: { type: "folder" }
        })
      })
      expect([refused.status, await refused.text()]).toEqual([
        503,
        expect.stringContaining("npm install @electric-sql/pglite")
      ])
      const code = new Promise((resolve) => service.on("close", resolve))
      service.kill("SIGTERM")
      expect(await code).toBe(143)
    } finally {
      service.kill("SIGKILL")
    }
  })
})

const execute = promisify(execFile)

const run = async (command: string, args: ReadonlyArray<string>, cwd: string): Promise<string> => {
  try {
    return (await execute(command, args, { cwd })).stdout
  } catch (error) {
    const output = typeof error === "object" && error !== null && "stdout" in error ? error.stdout : ""
    throw new Error(`${command} ${args.join(" ")}\n${String(error)}\n${String(output)}`, { cause: error })
  }
}
