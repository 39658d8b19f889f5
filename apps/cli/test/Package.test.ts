import { execFile, spawnSync } from "node:child_process"
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

describe("the man page", { timeout: 300_000 }, () => {
  const page = () => join(consumer(), "node_modules/@org/batch-cli/dist/batchctl.1")

  it("is in the tarball, beside the licence, and tells what help tells", async () => {
    const manifest = JSON.parse(
      await readFile(join(consumer(), "node_modules/@org/batch-cli/package.json"), "utf8")
    )
    expect(manifest.man).toBe("./dist/batchctl.1")
    const license = await readFile(join(consumer(), "node_modules/@org/batch-cli/LICENSE"), "utf8")
    expect(license).toContain("MIT")
    const text = (await readFile(page(), "utf8")).replaceAll("\\-", "-").replaceAll(/\\f[BIR]/gu, "")
    const help = await run("node_modules/.bin/batchctl", ["help", "get"], consumer())
    const flags = [...help.matchAll(/--[a-z-]+/gu)].map(([flag]) => flag)
    expect(flags.length).toBeGreaterThan(10)
    expect(flags.filter((flag) => !text.includes(flag))).toEqual([])
  })

  for (const [checker, args] of [
    ["mandoc", ["-Tlint", "-Wstyle"]],
    ["groff", ["-ww", "-man", "-Tutf8", "-z"]]
  ] as const) {
    it(`pleases ${checker}`, async (context) => {
      context.skip(spawnSync(checker, ["--version"]).error !== undefined, `${checker} is not installed`)
      const { stderr, stdout } = spawnSync(checker, [...args, page()], { encoding: "utf8" })
      expect(`${stdout}${stderr}`).toBe("")
    })
  }
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
