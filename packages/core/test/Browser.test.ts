import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { build, type BuildFailure, type Message, type Metafile } from "esbuild"
import { execFileSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { createContext, runInContext } from "node:vm"

const root = fileURLToPath(new URL("..", import.meta.url))
const manifest: {
  readonly publishConfig: {
    readonly exports: Readonly<Record<string, { readonly browser?: string; readonly default?: string }>>
  }
} = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

/** The package as it is packed. */
const folder = realpathSync(mkdtempSync(join(tmpdir(), "batch-core-browser-")))

beforeAll(() => {
  execFileSync("pnpm", ["pack", "--pack-destination", folder], { cwd: root })
  execFileSync("tar", ["-xzf", join(folder, readdirSync(folder)[0] ?? ""), "-C", folder])
}, 600_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What needs Node: whatever inflates, hashes or is on a disk. The README names the same modules. */
const ofNode = [
  "Campaign",
  "Collection",
  "Compression",
  "Download",
  "Existing",
  "Gunzip",
  "Idempotency",
  "InputRows",
  "Jobs",
  "ResultRange",
  "ResultStream",
  "Retrieval",
  "Verification"
]

const modules = new Map(
  Object.entries(manifest.publishConfig.exports).flatMap(
    ([name, { default: dflt, browser: file = dflt }]): Array<[string, string]> =>
      file === undefined || name === "." ? [] : [[name.slice(2), file]]
  )
)

/** What other people's bundles prove every day; the last test has them in its own. */
const others = ["effect", "@effect/platform"]

/** Bundles code for a browser, from the packed package, as an application's bundler would. */
const bundle = (contents: string, external: Array<string> = []) =>
  build({
    absWorkingDir: join(folder, "package"),
    nodePaths: [join(root, "node_modules")],
    stdin: { contents, resolveDir: join(folder, "package") },
    bundle: true,
    external,
    platform: "browser",
    format: "iife",
    globalName: "Bundled",
    metafile: true,
    write: false,
    logLevel: "silent"
  })

describe("in a bundle for a browser", () => {
  it.each([...modules].filter(([name]) => !ofNode.includes(name)))(
    "%s needs nothing of Node",
    async (_, file) => {
      const chains = await bundle(`export * from "${file}"`, others).then(
        () => [],
        async ({ errors }: BuildFailure) => {
          const { inputs } = await reached(file)
          return errors.map((error) => chainTo(error, inputs))
        }
      )
      expect(chains).toEqual([])
    }
  )

  it("the README names the modules that need Node, and each of them does", async () => {
    const readme = readFileSync(join(root, "README.md"), "utf8")
    expect(/^Of Node: (.*)$/mu.exec(readme)?.[1]).toBe(`${ofNode.map((name) => `\`${name}\``).join(", ")}.`)
    for (const name of ofNode) {
      const built = await bundle(`export * from "${modules.get(name) ?? ""}"`, others).then(
        () => "bundled",
        () => "refused"
      )
      expect([name, built]).toEqual([name, "refused"])
    }
  })

  it("records are read, and what is no UTF-8 is refused, without a global of Node's", async () => {
    const { outputFiles } = await bundle(`
      export * as BatchPoll from "${modules.get("BatchPoll") ?? ""}"
      import * as BatchConfig from "${modules.get("BatchConfig") ?? ""}"
      import * as Buffers from "${modules.get("Buffers") ?? ""}"
      import * as Records from "${modules.get("Records") ?? ""}"
      import { Effect, Either, Stream } from "effect"
      const lines = Uint8Array.of(...[...'{"a":1}\\n{"a":"'].map((c) => c.charCodeAt(0)), 0xff, 0x22, 0x7d, 0x0a)
      export const read = () =>
        Records.fromBytes(Stream.make(lines)).pipe(
          Stream.map(Either.isRight),
          Stream.ensuring(Effect.sync(() => Buffers.release(new Uint8Array(65536)))),
          Stream.runCollect,
          Effect.map((sound) => JSON.stringify([...sound])),
          Effect.provide(BatchConfig.layer()),
          Effect.runPromise
        )`)
    const { MessageChannel, setTimeout, TextDecoder, TextEncoder, URL } = globalThis
    const page = createContext({ MessageChannel, setTimeout, TextDecoder, TextEncoder, URL })
    runInContext(outputFiles[0]?.text ?? "", page)
    expect(await runInContext("Bundled.read()", page)).toBe("[true,false]")
  })
})

/** Every file that a bundle for Node reads, with its imports. */
const reached = async (file: string): Promise<Metafile> =>
  (
    await build({
      absWorkingDir: join(folder, "package"),
      conditions: ["browser"],
      entryPoints: [file],
      bundle: true,
      external: others,
      platform: "node",
      format: "esm",
      metafile: true,
      write: false,
      logLevel: "silent"
    })
  ).metafile

/** The way from an entry to the import that failed, for people: `dist/a.js > dist/b.js > node:zlib`. */
const chainTo = ({ location, text }: Message, inputs: Metafile["inputs"]): string => {
  const walk = (file: string): ReadonlyArray<string> => {
    const importer = Object.keys(inputs).find((path) =>
      inputs[path]?.imports.some(({ path: to }) => to === file)
    )
    return importer === undefined ? [file] : [...walk(importer), file]
  }
  return [...walk(location?.file ?? ""), text].join(" > ")
}
