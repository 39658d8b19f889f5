import { execFile } from "node:child_process"
import { readdirSync } from "node:fs"
import { mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import ts from "typescript"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Upstream from "./Upstream.js"

const root = fileURLToPath(new URL("..", import.meta.url))
let folder = ""
let upstream: Awaited<ReturnType<typeof Upstream.start>>
let id = ""

const tarball = (name: string) => join(folder, readdirSync(folder).find((file) => file.includes(name)) ?? "")
const home = () => join(folder, "home")
const installed = (name: string) => join(home(), "node_modules/@org", name)

beforeAll(async () => {
  folder = await Upstream.emptyFolder()
  upstream = await Upstream.start()
  id = await upstream.createJob({ records: 30 })
  const names = ["core", "node", "client"]
  const filters = names.map((name) => `--filter=@org/batch-${name}`)
  await run("pnpm", [...filters, "pack", "--pack-destination", folder], root)
  for (const name of names) {
    await mkdir(installed(`batch-${name}`), { recursive: true })
    await run("tar", [
      "xzf",
      tarball(`batch-${name}`),
      "--strip-components=1",
      "-C",
      installed(`batch-${name}`)
    ])
  }
  await link("effect", "@effect/platform", "@effect/platform-node", "fastify")
}, 600_000)

afterAll(async () => {
  await upstream.stop()
  await rm(folder, { recursive: true, force: true })
})

const settings = () =>
  JSON.stringify({ ...Upstream.impatient, apiKey: Upstream.secret, baseUrl: upstream.baseUrl })

describe("the packed tarball", { timeout: 300_000 }, () => {
  it("has no type of Effect's, and types that need none", async () => {
    const dist = join(installed("batch-client"), "dist")
    const declarations = (await readdir(dist, { recursive: true })).filter((name) => /\.d\.c?ts$/u.test(name))
    expect(declarations).toContain("Client.d.ts")
    for (const name of declarations) {
      const code = (await readFile(join(dist, name), "utf8")).replace(/\/\*.*?\*\//gsu, "")
      expect(`${name}\n${code}`).not.toMatch(/effect|Effect|@org\/|Redacted|Option\./u)
    }
    const project = join(folder, "types")
    await mkdir(join(project, "node_modules/@org"), { recursive: true })
    await mkdir(join(project, "node_modules/@types"), { recursive: true })
    await run("cp", ["-r", installed("batch-client"), join(project, "node_modules/@org")])
    await symlink(
      await realpath(join(root, "node_modules/@types/node")),
      join(project, "node_modules/@types/node")
    )
    const source = `
      import { BatchFailed, Client, WaitTimeout } from "@org/batch-client"
      export const total = async (id: string, signal: AbortSignal): Promise<number> => {
        await using client = new Client({ apiKey: "key", poll: { maxDelay: 30 } })
        let sum = 0
        try {
          for await (const row of client.records<{ readonly size: number }>(id, { timeout: "30m", signal })) sum += row.size
        } catch (error) {
          if (error instanceof WaitTimeout) return error.elapsedSeconds
          if (error instanceof BatchFailed) return error.batch.resultCount
          throw error
        }
        // @ts-expect-error there is no such option: the types are there and are not any
        await client.download(id, { outputs: "rows.csv" })
        return sum
      }`
    await writeFile(join(project, "package.json"), `{ "type": "module" }`)
    for (const file of ["index.ts", "index.cts"]) await writeFile(join(project, file), source)
    for (const [module, moduleResolution, ...files] of [
      ["node16", "node16", "index.ts", "index.cts"],
      ["commonjs", "node10", "index.ts"]
    ] as const) {
      const { checked, faults } = check(project, files, { module, moduleResolution })
      expect(faults).toEqual([])
      expect(checked).toEqual(expect.arrayContaining([...files, expect.stringMatching(/Client\.d\.c?ts$/u)]))
    }
  })

  it("works from CommonJS, in a worker thread and in a handler of Fastify, with nothing on standard output but theirs", async () => {
    const script = `
      const { BatchNotFound, Client } = require("@org/batch-client")
      const { once } = require("node:events")
      const { isMainThread, parentPort, Worker } = require("node:worker_threads")
      const fastify = require("fastify")
      const client = new Client(${settings()})
      const count = async () => {
        let rows = 0
        for await (const _ of client.records("${id}", { timeout: "1m" })) rows++
        return rows
      }
      const main = async () => {
        const rows = await count()
        if (!isMainThread) return parentPort.postMessage(rows)
        console.log("required", rows, Client === (await import("@org/batch-client")).Client)
        const [inWorker] = await once(new Worker(__filename), "message")
        console.log("worker", inWorker)
        const app = fastify()
        app.get("/:id", async ({ params }, reply) => {
          try {
            return await client.status(params.id)
          } catch (error) {
            return reply.code(error instanceof BatchNotFound ? 404 : 500).send(error)
          }
        })
        const url = await app.listen({ host: "127.0.0.1", port: 0 })
        const known = await (await fetch(url + "/${id}")).json()
        const unknown = await fetch(url + "/01234567-89ab-4cde-8f01-23456789abcd")
        console.log("fastify", known.status, unknown.status)
        await app.close()
      }
      main().finally(() => client.close())`
    await writeFile(join(home(), "main.cjs"), script)
    const printed = await run("node", ["main.cjs"], home())
    expect(printed.trimEnd().split("\n")).toEqual(["required 30 true", "worker 30", "fastify completed 404"])
  })
})

/** Type-checks files of a project, and what of ours they import: whose declarations are checked, and what is wrong with them. */
const check = (project: string, files: ReadonlyArray<string>, how: object) => {
  const { errors, options } = ts.convertCompilerOptionsFromJson(
    {
      target: "es2022",
      lib: ["es2023", "esnext.disposable"],
      typeRoots: [join(project, "node_modules/@types")],
      types: ["node"],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
      ...how
    },
    project
  )
  const roots = files.map((file) => join(project, file))
  const program = ts.createProgram(roots, options)
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(project))
  const diagnostics = [...errors, ...ours.flatMap((file) => ts.getPreEmitDiagnostics(program, file))]
  return {
    checked: ours.map(({ fileName }) => fileName.slice(project.length + 1)),
    faults: diagnostics.map(
      ({ file, messageText }) =>
        `${file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`
    )
  }
}

const link = async (...names: ReadonlyArray<string>) => {
  for (const name of names) {
    const at = join(home(), "node_modules", name)
    await mkdir(join(at, ".."), { recursive: true })
    await symlink(await realpath(join(root, "node_modules", name)), at)
  }
}

const run = async (command: string, args: ReadonlyArray<string>, cwd = folder): Promise<string> => {
  try {
    return (await promisify(execFile)(command, args, { cwd })).stdout
  } catch (error) {
    const output = typeof error === "object" && error !== null && "stdout" in error ? error.stdout : ""
    throw new Error(`${command} ${args.join(" ")}\n${String(error)}\n${String(output)}`, { cause: error })
  }
}
