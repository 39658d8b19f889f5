import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core"
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { publint } from "publint"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { check, type Checked } from "./Compiler.js"
import * as Examples from "./Examples.js"

const repository = fileURLToPath(new URL("..", import.meta.url))

/** What is published as a library, what is in its tarball beside code and types, and a misuse that its types refuse. */
const libraries = [
  { name: "core", more: [], misuse: `export const id: Core.Batch.BatchId = "not branded"` },
  { name: "sandbox", more: [], misuse: `Sandbox.Sandbox.start({ port: "0" })` },
  { name: "node", more: [], misuse: `export const layer: string = Node.CredentialsFile.layer` },
  { name: "client", more: [], misuse: `new Client.Client({ apiKeys: "key" })` },
  { name: "durable", more: ["seed"], misuse: `export const layer: string = Durable.Embedded.layer` }
]

const stem = (name: string) => name.replace(/\..*$/, "")
const filesOf = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("."))
const stemsOf = (files: ReadonlyArray<string>) => [...new Set(files.map(stem))].toSorted()

let folder = ""
const tarball = (name: string) =>
  join(folder, readdirSync(folder).find((file) => file.startsWith(`org-batch-${name}-`)) ?? "")
const consumer = () => join(folder, "consumer")
const installed = (name: string) => join(consumer(), "node_modules/@org", `batch-${name}`)
const manifestOf = async (name: string): Promise<{ readonly exports: Readonly<Record<string, unknown>> }> =>
  JSON.parse(await readFile(join(installed(name), "package.json"), "utf8"))

/** Modules that a package lets in by a path of their own. */
const modulesOf = async (name: string): Promise<ReadonlyArray<string>> =>
  Object.keys((await manifestOf(name)).exports)
    .filter((path) => path !== "." && path !== "./package.json")
    .map((path) => path.slice(2))
    .toSorted()

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "batch-packages-")))
  for (const { name } of libraries) {
    await run("pnpm", ["pack", "--pack-destination", folder], join(repository, "packages", name))
    await mkdir(installed(name), { recursive: true })
    await run("tar", ["xzf", tarball(name), "--strip-components=1", "-C", installed(name)], folder)
  }
  await writeFile(join(consumer(), "package.json"), `{ "private": true, "type": "module" }`)
  for (const { name } of libraries) {
    const modules = join(repository, "packages", name, "node_modules")
    const { dependencies = {}, peerDependencies = {} } = JSON.parse(
      await readFile(join(installed(name), "package.json"), "utf8")
    )
    for (const needed of [...Object.keys({ ...dependencies, ...peerDependencies }), "@types/node"]) {
      const link = join(consumer(), "node_modules", needed)
      if (existsSync(link)) continue
      await mkdir(join(link, ".."), { recursive: true })
      await symlink(await realpath(join(modules, needed)), link)
    }
  }
}, 600_000)

afterAll(() => rm(folder, { recursive: true, force: true }))

describe.each(libraries)("the packed tarball of $name", { timeout: 600_000 }, ({ more, name }) => {
  it("holds code, types, sources, a readme and a licence", async () => {
    expect((await readdir(installed(name))).toSorted()).toEqual(
      ["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json", "src", ...more].toSorted()
    )
    const built = filesOf(join(installed(name), "dist"))
    expect(stemsOf(built)).toEqual(stemsOf(filesOf(join(repository, "packages", name, "src"))))
    expect(built.filter((file) => !/\.((js|d\.ts)(\.map)?|cjs|d\.cts)$/.test(file))).toEqual([])
  })

  it("pleases publint", async () => {
    const packed = Uint8Array.from(await readFile(tarball(name))).buffer
    expect((await publint({ pack: { tarball: packed }, strict: true })).messages).toEqual([])
  })

  it("has types that resolve wherever its code does", async () => {
    // All modules are declared by one script, and all are type-checked below: the first stands for them here.
    const modules = (await modulesOf(name)).slice(0, 1)
    const entrypoints = [".", ...modules.map((module) => `./${module}`)]
    const packed = createPackageFromTarballData(Uint8Array.from(await readFile(tarball(name))))
    const result = await checkPackage(packed, { entrypoints })
    if (!result.types) throw new Error("it has no types")
    expect(result.types.kind).toBe("included")
    expect(result.problems).toEqual([])
    expect(Object.keys(result.entrypoints)).toEqual(entrypoints)
  })

  it("is imported and required by an empty project: the modules that it names, and no others", async () => {
    const modules = await modulesOf(name)
    const [reachable, required, index] = (await (loaded ??= load()))[name] ?? []
    expect([reachable, required]).toEqual([modules, modules])
    if (modules.length > 0) expect(modules).toEqual(expect.arrayContaining([...(index ?? [])]))
  })
})

describe("an empty project on all of them", { timeout: 600_000 }, () => {
  const modes = [
    { moduleResolution: "node16", module: "node16", files: ["index.cts"] },
    { moduleResolution: "node10", module: "commonjs", files: ["index.ts"] },
    { moduleResolution: "bundler", module: "esnext", files: ["index.ts"] }
  ]
  const examples = Examples.all()
  const results = new Map<string, Checked>()

  beforeAll(async () => {
    const source: Array<string> = []
    for (const { misuse, name } of libraries) {
      const title = `${name[0]?.toUpperCase() ?? ""}${name.slice(1)}`
      source.push(
        `import * as ${title} from "@org/batch-${name}"`,
        ...(await modulesOf(name)).map(
          (module) => `export * as ${title}${module} from "@org/batch-${name}/${module}"`
        ),
        "// @ts-expect-error the types are there and are not any",
        misuse
      )
    }
    const base: { readonly compilerOptions: object } = JSON.parse(
      await readFile(join(repository, "tsconfig.base.json"), "utf8")
    )
    const checked = await check(
      ...modes.map(({ files, module, moduleResolution }) => ({
        folder: consumer(),
        files: Object.fromEntries(files.map((file) => [join(consumer(), file), source.join("\n")])),
        within: consumer(),
        options: {
          module,
          moduleResolution,
          target: "es2022",
          lib: ["es2023", "esnext.disposable", "dom", "dom.iterable"],
          types: ["node"],
          typeRoots: [join(consumer(), "node_modules/@types")],
          strict: true,
          noEmit: true,
          skipLibCheck: false
        }
      })),
      {
        folder: consumer(),
        // One program for both, since what they import is the most of it.
        files: Object.fromEntries(
          [...examples, ["index.ts", source.join("\n")] as const].map(([name, code]) => [
            join(consumer(), name),
            code
          ])
        ),
        within: consumer(),
        options: {
          ...base.compilerOptions,
          typeRoots: [join(consumer(), "node_modules/@types")],
          skipLibCheck: false,
          noEmit: true,
          composite: false,
          incremental: false,
          noUnusedLocals: false
        }
      }
    )
    for (const [index, name] of [...modes.map((mode) => mode.moduleResolution), "nodenext"].entries()) {
      const result = checked[index]
      if (result !== undefined) results.set(name, result)
    }
  }, 600_000)

  it.each(modes)("type-checks, and so does what they declare: $moduleResolution", ({ moduleResolution }) => {
    expect(results.get(moduleResolution)?.faults).toEqual([])
    expect(results.get(moduleResolution)?.checked).toBeGreaterThan(100)
  })

  it("type-checks with all examples as they stand, and so does what they declare: nodenext", () => {
    expect(results.get("nodenext")?.faults).toEqual([])
    expect(results.get("nodenext")?.checked).toBeGreaterThan(100 + examples.size)
  })

  it("has an example of every public module", () => {
    expect(Examples.missing()).toEqual([])
  })

  it("serves a job from there", async () => {
    const script = `
      import { Sandbox } from "@org/batch-sandbox"
      import { Effect } from "effect"
      const program = Effect.gen(function* () {
        const { apiKey, baseUrl, createJob } = yield* Sandbox.start()
        const id = yield* createJob({ records: 3 })
        const headers = { authorization: "Bearer " + apiKey }
        return (yield* Effect.promise(() => fetch(baseUrl + "/batch/" + id, { headers }))).status
      })
      console.log(await Effect.runPromise(Effect.scoped(program)))`
    expect(await run("node", ["--input-type=module", "--eval", script], consumer())).toBe("200\n")
  })
})

/** Of each library: modules that can be imported by their path, those that can be required, and what its index exports. */
type Loaded = Readonly<Record<string, ReadonlyArray<ReadonlyArray<string>>>>

let loaded: Promise<Loaded> | undefined

/** Loads all of them in one process, since what they stand on takes most of the time. */
const load = async (): Promise<Loaded> => {
  const asked = await Promise.all(
    libraries.map(async ({ name }) => ({
      name,
      modules: await modulesOf(name),
      paths: [
        ...new Set(
          stemsOf(filesOf(join(repository, "packages", name, "src"))).flatMap((path) => [
            path,
            path.replace(/.*\//, "")
          ])
        )
      ]
    }))
  )
  const script = `
    import { createRequire } from "node:module"
    const required = createRequire(import.meta.url)
    const loaded = {}
    for (const { name, modules, paths } of ${JSON.stringify(asked)}) {
      const index = await import("@org/batch-" + name)
      if (required("@org/batch-" + name) === undefined) throw new Error("not required")
      const reachable = new Set()
      for (const path of paths) {
        await import("@org/batch-" + name + "/" + path).then(() => reachable.add(path), (error) => {
          if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") throw error
        })
      }
      const both = modules.filter((module) => required("@org/batch-" + name + "/" + module))
      loaded[name] = [[...reachable].sort(), both, Object.keys(index).sort()]
    }
    console.log(JSON.stringify(loaded))`
  await writeFile(join(consumer(), "load.mjs"), script)
  return JSON.parse(await run("node", ["load.mjs"], consumer()))
}

const run = async (command: string, args: ReadonlyArray<string>, cwd: string): Promise<string> => {
  try {
    return (await promisify(execFile)(command, args, { cwd })).stdout
  } catch (error) {
    const output = typeof error === "object" && error !== null && "stdout" in error ? error.stdout : ""
    throw new Error(`${command} ${args.join(" ")}\n${String(error)}\n${String(output)}`, { cause: error })
  }
}
