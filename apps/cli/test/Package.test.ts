import { execFile } from "node:child_process"
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
  folder = await realpath(await mkdtemp(join(tmpdir(), "batch-cli-package-")))
  await run("pnpm", ["pack", "--pack-destination", folder], root)
  const [name = ""] = await readdir(folder)
  tarball = join(folder, name)
  await mkdir(consumer())
  await writeFile(join(consumer(), "package.json"), `{ "private": true }`)
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], consumer())
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe("the packed tarball", { timeout: 300_000 }, () => {
  it("brings no dependency along", async () => {
    const installed = await readdir(join(consumer(), "node_modules"))
    expect(installed.filter((name) => !name.startsWith("."))).toEqual(["@org"])
    expect(await readdir(join(consumer(), "node_modules/@org"))).toEqual(["batch-cli"])
  })

  it("pleases publint", async () => {
    const packed = await readFile(tarball)
    const { messages } = await publint({ pack: { tarball: Uint8Array.from(packed).buffer }, strict: true })
    expect(messages).toEqual([])
  })

  it("runs outside the repository", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
    expect((await run("node_modules/.bin/batchctl", ["--version"], consumer())).trim()).toBe(version)
    expect(await run("node_modules/.bin/batchctl", ["--help"], consumer())).toContain("batchctl")
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
