import { Sandbox } from "@org/batch-sandbox"
import { build } from "esbuild"
import { Effect, Exit, Scope } from "effect"
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import type { Readable } from "node:stream"
import { setTimeout } from "node:timers/promises"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import * as Registry from "./Registry.js"

const repository = fileURLToPath(new URL("..", import.meta.url))
const packages = [
  "packages/core",
  "packages/node",
  "packages/client",
  "packages/sandbox",
  "apps/cli",
  "apps/server"
]

/** The batch of the examples: the first one that a sandbox makes. */
const batchId = "96faf844-e303-4ba5-a622-56965e684878"
const rows = 12

/** What managers of packages need to reach the registry that they are set up with, and not for what is on loopback. */
const network = Object.fromEntries([
  ...Object.entries(process.env).filter(([name]) =>
    /^(?:NODE_EXTRA_CA_CERTS|(?:HTTPS?|ALL|NO)_PROXY)$/iu.test(name)
  ),
  [
    "NO_PROXY",
    [process.env["NO_PROXY"] ?? process.env["no_proxy"] ?? "", "127.0.0.1"].filter(Boolean).join(",")
  ]
])

const scope = Effect.runSync(Scope.make())
let folder = ""
let registry: Registry.Registry
let sandbox: Sandbox.Service
let environment: NodeJS.ProcessEnv = {}

/** Where npm has installed by the line of `most`. */
let unpacked: Promise<string>

/** Where npm has installed what that line does not bring, without its peers. */
let beside: Promise<string>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "batch-install-")))
  const tarballs = join(folder, "tarballs")
  for (const path of packages) {
    await run("pnpm", ["pack", "--pack-destination", tarballs], join(repository, path), process.env)
  }
  registry = await Registry.start(tarballs)
  sandbox = await Effect.runPromise(
    Scope.extend(Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } }), scope)
  )
  expect(await Effect.runPromise(sandbox.createJob({ records: rows }))).toBe(batchId)
  environment = {
    PATH: process.env["PATH"],
    HOME: process.env["HOME"],
    ...network,
    npm_config_audit: "false",
    npm_config_fund: "false",
    npm_config_registry: registry.url,
    pnpm_config_registry: registry.url,
    CRUSTDATA_API_KEY: sandbox.apiKey,
    CRUSTDATA_BASE_URL: sandbox.baseUrl
  }
  unpacked = (async () => {
    const home = await emptyFolder()
    await shell(lineOf(await readFile(join(repository, most), "utf8"), "npm"), home)
    return home
  })()
  beside = (async () => {
    const home = await emptyFolder()
    await shell("npm install --legacy-peer-deps @org/batch-sandbox", home)
    return home
  })()
  // The tests that need them await them.
  for (const one of [unpacked, beside]) one.catch(() => undefined)
}, 600_000)

afterAll(async () => {
  await registry.close()
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await rm(folder, { recursive: true, force: true })
})

const libraries = ["core", "node", "client", "sandbox"].map((name) => `packages/${name}/README.md`)

/** The document whose npm line brings nearly all that the lines of the others bring. */
const most = "packages/client/README.md"

/** Documents whose examples say how many rows came; that of the sandbox says what it answered. */
const said = (path: string): unknown =>
  expect.stringContaining(path === "packages/sandbox/README.md" ? "200" : `${rows} rows`)

describe("documents of the libraries", { timeout: 600_000 }, () => {
  it.concurrent.each(libraries)("%s: its npm line installs what its example needs", async (path) => {
    const readme = await readFile(join(repository, path), "utf8")
    const line = lineOf(readme, "npm")
    const home = path === most ? await unpacked : await emptyFolder()
    const layout = path === most ? environment : await installed(line, home)
    // The page of the project has some of the same lines, with examples of its own.
    const page = await readFile(join(repository, "README.md"), "utf8")
    // That each package can be required is shown by `Packages.test.ts`.
    for (const format of path === most ? (["esm", "cjs"] as const) : (["esm"] as const))
      expect(await output(exampleOf(readme), home, format, layout)).toEqual(said(path))
    for (const [index, other] of linesOf(page).entries()) {
      if (other === line)
        expect(await output(exampleOf(page, index), home, "esm", layout)).toEqual(said(path))
    }
  })

  it.concurrent.each(libraries)("%s: its pnpm line installs what its example needs", async (path) => {
    const readme = await readFile(join(repository, path), "utf8")
    const home = await emptyFolder()
    await shell(lineOf(readme, "pnpm"), home)
    expect(await output(exampleOf(readme), home, "esm")).toEqual(said(path))
  })

  it.concurrent("README.md: all its npm lines for libraries are among those", async () => {
    const page = await readFile(join(repository, "README.md"), "utf8")
    const readmes = await Promise.all(libraries.map((path) => readFile(join(repository, path), "utf8")))
    const lines = readmes.map((readme) => lineOf(readme, "npm"))
    expect(linesOf(page)).toHaveLength(2)
    expect(lines).toEqual(expect.arrayContaining([...linesOf(page)]))
  })

  it.concurrent("the client works beside another version of Effect that the program has", async () => {
    const readme = await readFile(join(repository, "packages/client/README.md"), "utf8")
    const home = await emptyFolder()
    const missing = await layOut(`${lineOf(readme, "npm")} effect@4.1.0`, home)
    // That version need not be there: whoever took it for the client's own would find nothing.
    expect(missing).toContain("node_modules/effect")
    const locked = await packagesOf(join(home, "package-lock.json"))
    expect(locked.find(([place]) => place === "node_modules/effect")?.[1].version).toBe("4.1.0")
    expect(await output(exampleOf(readme), home, "esm", linked())).toEqual(said(""))
  })
})

describe("apps/cli/README.md", { timeout: 600_000 }, () => {
  it.concurrent.each(["npm", "pnpm"])(
    "its %s line installs a command that works as printed",
    async (manager) => {
      const readme = await readFile(join(repository, "apps/cli/README.md"), "utf8")
      const home = await globalFolder()
      await shell(lineOf(readme, manager), home.path, home.environment)
      const [command = ""] = /^batchctl get <batch-id>$/mu.exec(readme) ?? []
      await shell(command.replace("<batch-id>", batchId), home.path, home.environment)
      const verified = await shell(`gzip -dc ${batchId}.jsonl.gz | wc -l`, home.path, home.environment)
      expect(verified.trim()).toBe(String(rows))
    }
  )
})

describe("apps/server/README.md", { timeout: 600_000 }, () => {
  it.concurrent.each(["npm", "pnpm"])(
    "its %s line installs a service that works as printed",
    async (manager) => {
      const readme = await readFile(join(repository, "apps/server/README.md"), "utf8")
      const home = await globalFolder()
      await shell(lineOf(readme, manager), home.path, home.environment)
      const [command = ""] = /^batch-server$/mu.exec(readme) ?? []
      const service = spawn(command, {
        cwd: home.path,
        env: { ...home.environment, PORT: "0" },
        stdio: ["ignore", "pipe", "inherit"]
      })
      try {
        const url = await listening(service)
        const results = await (await fetch(`${url}/batch/${batchId}/results?wait=10m`)).text()
        expect(results.trimEnd().split("\n")).toHaveLength(rows)
      } finally {
        service.kill("SIGKILL")
      }
    }
  )
})

describe("examples", { timeout: 600_000 }, () => {
  it("the script on Effect counts all rows", async () => {
    const home = await emptyFolder()
    await cp(join(repository, "examples/effect-script"), home, { recursive: true })
    const layout = await installed("npm install", home)
    const printed = await shell(`npm start --silent -- ${batchId}`, home, layout)
    const counts = printed
      .trimEnd()
      .split("\n")
      .map((line) => Number(line.split("\t")[0]))
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows)
    expect(counts).toEqual(counts.toSorted((a, b) => b - a))
  })

  it("the handler of Fastify streams rows, says what went wrong, and stops with its callers and by SIGTERM", async () => {
    const home = await emptyFolder()
    await cp(join(repository, "examples/fastify-client"), home, { recursive: true })
    await shell("pnpm install --ignore-scripts", home)
    const figures = {
      BATCH_POLL_INITIAL_DELAY: "20ms",
      BATCH_POLL_MIN_DELAY: "20ms",
      BATCH_POLL_MAX_DELAY: "50ms"
    }
    const service = spawn("node", ["server.mjs"], {
      cwd: home,
      env: { ...environment, ...figures, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"]
    })
    const ended = once(service, "close")
    try {
      const url = await listening(service)
      const ask = (id: string, signal?: AbortSignal) =>
        fetch(`${url}/batches/${id}/rows`, signal && { signal })
      const answer = await ask(batchId)
      expect(answer.headers.get("content-type")).toBe("application/x-ndjson")
      const lines = (await answer.text()).trimEnd().split("\n")
      expect(lines.map((line) => typeof JSON.parse(line))).toEqual(
        Array.from({ length: rows }, () => "object")
      )
      const failures = await Promise.all(
        ["01234567-89ab-4cde-8f01-23456789abcd", "nonsense"].map((id) => ask(id))
      )
      expect(failures.map(({ status }) => status)).toEqual([404, 400])
      expect(await failures[0]?.json()).toMatchObject({ type: "BatchNotFound" })

      const stuck = await Effect.runPromise(sandbox.createJob({ stuck: true }))
      const polls = async () =>
        (await Effect.runPromise(sandbox.requests)).filter(({ path }) => path.endsWith(stuck)).length
      const caller = new AbortController()
      const asked = ask(stuck, caller.signal).catch(() => "gone")
      await vi.waitUntil(async () => (await polls()) > 2, 60_000)
      caller.abort()
      expect(await asked).toBe("gone")
      await vi.waitUntil(
        async () => {
          const before = await polls()
          await setTimeout(500)
          return (await polls()) === before
        },
        { timeout: 60_000 }
      )

      const before = await polls()
      const waiting = ask(stuck)
      await vi.waitUntil(async () => (await polls()) > before, 60_000)
      service.kill("SIGTERM")
      expect((await waiting).status).toBe(503)
      expect(await ended).toEqual([0, null])
    } finally {
      service.kill("SIGKILL")
    }
  })

  it("the nightly job fetches once, and is silent", async () => {
    const home = await globalFolder()
    await shell("npm install --global @org/batch-cli", home.path, home.environment)
    const script = join(repository, "examples/cron/nightly.sh")
    const night = () => run(script, ["results"], home.path, home.environment)
    expect(await night()).toBe("")
    const file = join(home.path, "results", `${batchId}.jsonl.gz`)
    const { mtimeMs } = await stat(file)
    expect(await night()).toBe("")
    expect((await stat(file)).mtimeMs).toBe(mtimeMs)
    expect((await readdir(join(home.path, "results"))).toSorted()).toEqual([
      `${batchId}.jsonl.gz`,
      `${batchId}.jsonl.gz.receipt.json`
    ])
  })
})

/** The address that a service says it listens on. */
const listening = (service: ChildProcessByStdio<null, Readable, null>) =>
  new Promise<string>((resolve, reject) => {
    service.stdout.setEncoding("utf8").on("data", (text: string) => {
      const [, found] = /listening (?:on|at) (http:\/\/[\d.]+:\d+)/u.exec(text) ?? []
      if (found !== undefined) resolve(found)
    })
    service.on("close", () => reject(new Error("it did not start")))
    service.on("error", reject)
  })

/** The first line of a README that installs with this manager, without its comment. */
const lineOf = (readme: string, manager: string): string => {
  const [line] = new RegExp(`(?<=^|\`)${manager} (?:install|add) [^\`\\n]*`, "mu").exec(readme) ?? []
  if (line === undefined) throw new Error(`it has no line for ${manager}`)
  return line.replace(/\s+#.*$/u, "")
}

/** All lines of a document that install libraries with npm. */
const linesOf = (page: string): ReadonlyArray<string> =>
  [...page.matchAll(/^npm install (?!--global).*$/gmu)].map(([line]) => line)

/** An example of a README, the first unless told otherwise. */
const exampleOf = (readme: string, index = 0): string =>
  [...readme.matchAll(/^```ts\n(.*?)^```$/gmsu)][index]?.[1] ?? "throw new Error('none')"

/** What an example prints as an ES module, or as what a bundler makes of it for CommonJS. */
const output = async (
  example: string,
  home: string,
  format: "esm" | "cjs",
  env = environment
): Promise<string> => {
  const place = await mkdtemp(join(home, `${format}-`))
  const file = format === "esm" ? "example.mjs" : "example.cjs"
  await build({
    stdin: { contents: example, resolveDir: home, loader: "ts" },
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format,
    outfile: join(place, file)
  })
  return await run("node", [file], place, env)
}

interface Locked {
  readonly version: string
  readonly integrity?: string
  readonly optional?: boolean
}

/** Where a lockfile of npm puts which packages. */
const packagesOf = async (lockfile: string): Promise<ReadonlyArray<[string, Locked]>> => {
  const { packages }: { readonly packages: Readonly<Record<string, Locked>> } = JSON.parse(
    await readFile(lockfile, "utf8")
  )
  return Object.entries(packages).filter(([place]) => place !== "")
}

/** Modules look for others from where links to them are, not from where those lead. */
const linked = () => ({ ...environment, NODE_OPTIONS: "--preserve-symlinks" })

/**
 * Has npm decide what a line installs where, and puts it there by links to what is unpacked already: to unpack it anew for
 * each line would take most of the time. Gives what is missing.
 */
const layOut = async (line: string, home: string): Promise<ReadonlyArray<string>> => {
  await shell(`${line} --package-lock-only`, home)
  const sources = new Map<string | undefined, string>()
  for (const from of await Promise.all([unpacked, beside])) {
    for (const [place, { integrity }] of await packagesOf(join(from, "node_modules/.package-lock.json"))) {
      sources.set(integrity, join(from, place))
    }
  }
  const missing: Array<string> = []
  for (const [place, { integrity, optional }] of await packagesOf(join(home, "package-lock.json"))) {
    const source = sources.get(integrity)
    if (source === undefined) {
      // Such as what is for other systems.
      if (optional !== true) missing.push(place)
      continue
    }
    await mkdir(join(home, place), { recursive: true })
    for (const entry of await readdir(source)) {
      if (entry !== "node_modules") await symlink(join(source, entry), join(home, place, entry))
    }
  }
  return missing
}

/** Installs by a line of npm; gives the environment to run in. */
const installed = async (line: string, home: string): Promise<NodeJS.ProcessEnv> => {
  if ((await layOut(line, home)).length === 0) return linked()
  // The registry has a version that fits this line only.
  await shell("npm ci", home)
  return environment
}

let folders = 0

const emptyFolder = async (): Promise<string> => {
  const path = join(folder, `empty-${folders++}`)
  await mkdir(path)
  return path
}

/** An empty folder in which both managers install their global packages, as they do in a home. */
const globalFolder = async () => {
  const path = await emptyFolder()
  const bins = [join(path, "bin"), join(path, "pnpm"), join(path, "pnpm/bin")]
  return {
    path,
    environment: {
      ...environment,
      npm_config_prefix: path,
      PNPM_HOME: join(path, "pnpm"),
      PATH: [...bins, environment["PATH"]].join(delimiter)
    }
  }
}

const shell = (line: string, cwd: string, env = environment) =>
  run("bash", ["-eo", "pipefail", "-c", line], cwd, env)

const run = async (
  command: string,
  args: ReadonlyArray<string>,
  cwd: string,
  env = environment
): Promise<string> => {
  try {
    return (await promisify(execFile)(command, args, { cwd, env })).stdout
  } catch (error) {
    const output = typeof error === "object" && error !== null && "stdout" in error ? error.stdout : ""
    throw new Error(`${command} ${args.join(" ")}\n${String(error)}\n${String(output)}`, { cause: error })
  }
}
