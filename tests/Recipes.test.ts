import { Sandbox } from "@org/batch-sandbox"
import { build } from "esbuild"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, beforeAll, expect, it } from "vitest"

const here = fileURLToPath(new URL(".", import.meta.url))

/** The batch of the recipes: the first one that a sandbox makes. */
const batchId = "96faf844-e303-4ba5-a622-56965e684878"
const rows = 100

const document = await readFile(join(here, "../docs/library.md"), "utf8")
const recipes = new Map(
  [...document.matchAll(/^## (\d+\. [^\n]*)\n.*?^```ts\n(.*?)^```$/gmsu)].map(
    ([, title = "", code = ""]): [string, string] => [title, code]
  )
)

/** What each of them prints on standard output, and the files that it leaves. */
const expected: Readonly<
  Record<string, { readonly prints: RegExp; readonly leaves?: ReadonlyArray<string> }>
> = {
  "1. The state of a job, once": { prints: /^processing, 40 rows\n$/u },
  "2. Wait, and show progress": { prints: /^processing, 40 rows\ncompleted, 100 rows\n$/u },
  "3. Rows into a database": { prints: /^\[ \{ companies: 100 \} \]\n$/u },
  "4. Download, and show what happens": {
    prints: /^100 rows in rows\.csv, [\da-f]{64}\n$/u,
    leaves: ["rows.csv"]
  },
  "5. Many jobs on one throttle": { prints: new RegExp(`^${batchId}: 100 rows\n$`, "u"), leaves: ["out"] },
  "6. Cancel, and go on later": {
    prints: /^100 rows, \d+ bytes were here already\n$/u,
    leaves: ["rows.jsonl.gz"]
  },
  "7. Figures of your own": { prints: /^100 rows are ready\n$/u },
  "8. An HTTP client of your own": { prints: /^processing\n$/u },
  "9. Your tests, against the sandbox": { prints: /^all rows came, once each\n$/u },
  "10. A file on disk": {
    prints: /^100 rows, 100 identifiers\n$/u,
    leaves: ["rows.jsonl.gz", "rows.jsonl.gz.receipt.json"]
  }
}

it("there are the recipes that are run here, and no others", () => {
  expect([...recipes.keys()]).toEqual(Object.keys(expected))
})

/** The bundled recipes; what they share is one file, so that each starts quickly. */
let bundles = ""

beforeAll(async () => {
  bundles = await realpath(await mkdtemp(join(here, ".recipe-")))
  const titles = Object.keys(expected)
  await build({
    entryPoints: Object.fromEntries(titles.map((title, index) => [`recipe-${index}`, title])),
    plugins: [
      {
        name: "recipes",
        setup: ({ onLoad, onResolve }) => {
          onResolve({ filter: /^\d+\. / }, ({ path }) => ({ path, namespace: "recipe" }))
          onLoad({ filter: /.*/, namespace: "recipe" }, ({ path }) => ({
            contents: recipes.get(path) ?? "",
            resolveDir: here,
            loader: "ts"
          }))
        }
      }
    ],
    bundle: true,
    splitting: true,
    external: ["@electric-sql/*"],
    platform: "node",
    format: "esm",
    // Some of what is bundled is CommonJS, and asks for parts of Node.
    banner: {
      js: `import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url)`
    },
    outExtension: { ".js": ".mjs" },
    outdir: bundles
  })
}, 120_000)

afterAll(() => rm(bundles, { recursive: true }))

it.concurrent.each(Object.entries(expected))("%s", (title, { leaves = [], prints }) =>
  Effect.gen(function* () {
    const sandbox = yield* Sandbox.start({ clock: { pendingMs: 0, processingMs: 0 } })
    expect(yield* sandbox.createJob({ records: rows })).toBe(batchId)
    const body = JSON.stringify({ batch_id: batchId, status: "processing", result_count: 40 })
    yield* sandbox.script({
      on: { server: "api", path: `/batch/${batchId}` },
      do: { respond: { status: 200, body } }
    })
    const folder = yield* Effect.acquireRelease(
      Effect.promise(async () => await realpath(await mkdtemp(join(tmpdir(), "batch-recipe-")))),
      (path) => Effect.promise(() => rm(path, { recursive: true }))
    )
    const { stderr, stdout } = yield* Effect.promise(() =>
      promisify(execFile)(
        process.execPath,
        // A database of WebAssembly that lives for a second does not repay what optimizing it costs.
        ["--liftoff-only", join(bundles, `recipe-${Object.keys(expected).indexOf(title)}.mjs`)],
        {
          cwd: folder,
          env: { CRUSTDATA_API_KEY: sandbox.apiKey, CRUSTDATA_BASE_URL: sandbox.baseUrl }
        }
      )
    )
    expect(stdout).toMatch(prints)
    expect(stderr).not.toMatch(/error/iu)
    const left = yield* Effect.promise(() => readdir(folder))
    expect(left.toSorted()).toEqual(leaves)
  }).pipe(Effect.scoped, Effect.runPromise)
)
