/**
 * Bundles the service, and the demo beside it. What retrievals need is in chunks that are loaded when it is
 * used; the engine behind them is not bundled, since it reads files beside its own modules.
 */
import { build } from "esbuild"
import { existsSync } from "node:fs"
import { chmod, copyFile, readFile, rm } from "node:fs/promises"
import { ofModules, unused, whenUsed } from "../../scripts/bundling.mjs"

const manifest = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"))

const options = {
  absWorkingDir: import.meta.dirname,
  outdir: "dist",
  bundle: true,
  splitting: true,
  minify: true,
  metafile: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  legalComments: "none",
  loader: { ".html": "text" },
  external: Object.keys(manifest.optionalDependencies),
  // What is not ESM inside asks for Node's modules with require.
  banner: {
    js: `import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);`
  },
  define: { BATCH_SERVER_VERSION: JSON.stringify(manifest.version) },
  // Schemas can invent values, the proxy agents can tell what they do, and Effect's server takes WebSockets and sends files with
  // their media types; the service asks for none of it.
  plugins: [unused("fast-check", "debug", "ws", "mime"), whenUsed, ofModules],
  logLevel: "warning"
}

await rm(new URL("dist", import.meta.url), { recursive: true, force: true })
const { metafile } = await build({
  ...options,
  entryPoints: { "batch-server": "src/Main.ts" },
  chunkNames: "chunks/[name]-[hash]"
})
const loaded = new Set()
const load = (path) => {
  if (loaded.has(path)) return
  loaded.add(path)
  const statements = metafile.outputs[path].imports.filter(
    ({ external, kind }) => !external && kind === "import-statement"
  )
  for (const { path } of statements) load(path)
}
load("dist/batch-server.js")
const late = [...loaded]
  .flatMap((path) => Object.keys(metafile.outputs[path].inputs))
  .filter((path) => /httpApiSwagger|csv-parse|durable\/src\/(?:Embedded|Worker)/.test(path))
if (late.length > 0) throw new Error(`batch-server.js loads ${late.join(", ")} when it starts`)
await build({ ...options, entryPoints: { demo: "src/Demo.ts" }, chunkNames: "demo/[name]-[hash]" })
await chmod(new URL("dist/batch-server.js", import.meta.url), 0o755)
const durable = new URL("../../packages/durable/", import.meta.url)
const database = new URL("seed/database.tar.gz", durable)
// The build of the package makes it; without that, as in a fresh clone, it is made now.
if (!existsSync(database)) await import(new URL("seed.mjs", durable))
await copyFile(database, new URL("dist/database.tar.gz", import.meta.url))

const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0)
console.log(`batch-server ${manifest.version}: ${Math.round(bytes / 1000)} kB`)
