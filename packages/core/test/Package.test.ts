import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { publint } from "publint"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Core from "../src/index.js"

const root = fileURLToPath(new URL("..", import.meta.url))
const modules = Object.keys(Core).toSorted()
const stem = (name: string) => name.replace(/\..*$/, "")
function filesOf(folder: string): ReadonlyArray<string> {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("."))
}
const sources = [...new Set(filesOf(join(root, "src")).map(stem))].toSorted()

let folder = ""
let tarball = ""
const consumer = () => join(folder, "consumer")

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "batch-core-package-")))
  await run("pnpm", ["pack", "--pack-destination", folder], root)
  const [name = ""] = await readdir(folder)
  tarball = join(folder, name)
  await mkdir(consumer())
  await writeFile(join(consumer(), "package.json"), `{ "private": true, "type": "module" }`)
  await run(
    "npm",
    ["install", "--offline", "--legacy-peer-deps", "--no-audit", "--no-fund", tarball],
    consumer()
  )
  await linkPeers("effect", "@effect/platform", "@types/node")
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe("the packed tarball", { timeout: 600_000 }, () => {
  it("holds code, types, sources, a readme and a licence", async () => {
    expect((await readdir(installed("."))).toSorted()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "package.json",
      "src"
    ])
    const built = filesOf(installed("dist"))
    expect([...new Set(built.map(stem))].toSorted()).toEqual(sources)
    expect(built.filter((name) => !/\.((js|d\.ts)(\.map)?|cjs|d\.cts)$/.test(name))).toEqual([])
  })

  it("pleases publint", async () => {
    const packed = await readFile(tarball)
    const { messages } = await publint({ pack: { tarball: Uint8Array.from(packed).buffer }, strict: true })
    expect(messages).toEqual([])
  })

  it("is loaded by require, every module of it", async () => {
    const script = `console.log(${JSON.stringify(modules)}.filter((name) => require("@org/batch-core/" + name)).join())`
    expect(await run("node", ["--input-type=commonjs", "--eval", script], consumer())).toBe(
      `${modules.join()}\n`
    )
  })

  it("has types that resolve wherever its code does", async () => {
    const attw = join(root, "node_modules/.bin/attw")
    const printed = await run(attw, [tarball, "--no-definitely-typed", "--no-color"], folder)
    expect(printed).toContain("No problems found")
    for (const name of modules) expect(printed).toContain(`@org/batch-core/${name}"`)
  })

  it("is imported by an empty project: the modules of the index, and no others", async () => {
    const script = `
      await import("@org/batch-core")
      const reachable = []
      for (const path of ${JSON.stringify(sources)}) {
        for (const name of new Set([path, path.replace(/.*\\//, "")])) {
          await import("@org/batch-core/" + name).then(() => reachable.push(name), (error) => {
            if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error
          })
        }
      }
      console.log(reachable.sort().join())`
    expect(await run("node", ["--input-type=module", "--eval", script], consumer())).toBe(
      `${modules.join()}\n`
    )
  })

  it.each([
    { module: "node16", moduleResolution: "node16", skipLibCheck: false },
    { module: "commonjs", moduleResolution: "node10", skipLibCheck: false },
    { module: "esnext", moduleResolution: "bundler", skipLibCheck: true }
  ])("type-checks in an empty project: $moduleResolution", async (options) => {
    const source = [
      `import { Batch } from "@org/batch-core"`,
      ...modules.map((name) => `export * as ${name} from "@org/batch-core/${name}"`),
      `export const known = (status: Batch.BatchStatus): boolean => Batch.isTerminal(status)`,
      `// @ts-expect-error a plain string is no batch id: the types are there and are not any`,
      `export const id: Batch.BatchId = "not branded"`
    ]
    const files = options.module.startsWith("node") ? ["index.ts", "index.cts"] : ["index.ts"]
    for (const file of files) await writeFile(join(consumer(), file), source.join("\n"))
    const target = { target: "es2022", lib: ["es2023", "dom", "dom.iterable"], types: ["node"] }
    const compilerOptions = { ...options, ...target, strict: true, noEmit: true }
    await writeFile(join(consumer(), "tsconfig.json"), JSON.stringify({ compilerOptions, files }))
    const tsc = fileURLToPath(new URL("../../../node_modules/.bin/tsc", import.meta.url))
    expect(await run(tsc, ["-p", "."], consumer())).toBe("")
  })
})

const installed = (path: string) => join(consumer(), "node_modules/@org/batch-core", path)

const linkPeers = async (...names: ReadonlyArray<string>) => {
  for (const name of names) {
    const link = join(consumer(), "node_modules", name)
    await mkdir(join(link, ".."), { recursive: true })
    await symlink(await realpath(join(root, "node_modules", name)), link)
  }
}

const execute = promisify(execFile)

const run = async (command: string, args: ReadonlyArray<string>, cwd: string): Promise<string> => {
  try {
    return (await execute(command, args, { cwd })).stdout
  } catch (error) {
    const output = typeof error === "object" && error !== null && "stdout" in error ? error.stdout : ""
    throw new Error(`${command} ${args.join(" ")}\n${String(error)}\n${String(output)}`, { cause: error })
  }
}
