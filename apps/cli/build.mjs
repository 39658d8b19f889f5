/**
 * Bundles the command line: a small file that answers what needs no program, and the program, which it loads with the
 * code that V8 keeps of it. What is imported dynamically is in the same file, and does nothing until it is asked for.
 */
import { build } from "esbuild"
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { basename } from "node:path"
import { ofModules, unused, whenUsed } from "../../scripts/bundling.mjs"

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"))
const outdir = new URL("dist/", import.meta.url)

const common = {
  absWorkingDir: import.meta.dirname,
  bundle: true,
  minify: true,
  metafile: true,
  write: false,
  platform: "node",
  target: "node20.19",
  legalComments: "none",
  logLevel: "warning"
}

const program = await build({
  ...common,
  entryPoints: { program: "src/Main.ts" },
  outdir: "dist",
  entryNames: "[name]-[hash]",
  format: "cjs",
  // Schemas can invent values, and the proxy agents can tell what they do; no command asks for it.
  plugins: [unused("fast-check", "debug"), whenUsed, ofModules]
})
const [{ path, text }] = program.outputFiles
const name = basename(path)
// V8 keeps two bytes for each character of a text that has others, and they are read as they are.
if (/[^\0-\x7f]/.test(text)) throw new Error(`${name} has characters that are not of ASCII`)

const binary = await build({
  ...common,
  entryPoints: { batchctl: "src/Bin.ts" },
  outdir: "dist",
  format: "cjs",
  define: {
    "import.meta.dirname": "__dirname",
    BATCHCTL_VERSION: JSON.stringify(version),
    BATCHCTL_PROGRAM: JSON.stringify(name)
  },
  plugins: [whenUsed]
})
const foreign = Object.entries(Object.values(binary.metafile.outputs)[0].inputs).filter(
  ([path, { bytesInOutput }]) => path.includes("node_modules") && bytesInOutput > 0
)
if (foreign.length > 0) throw new Error(`batchctl.js loads ${foreign.map(([path]) => path).join(", ")}`)

const manual = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ["src/manual/ManPage.ts"],
  bundle: true,
  write: false,
  platform: "node",
  format: "esm"
})
const { render } = await import(`data:text/javascript,${encodeURIComponent(manual.outputFiles[0].text)}`)
const { SOURCE_DATE_EPOCH } = process.env
const made = SOURCE_DATE_EPOCH === undefined ? new Date() : new Date(Number(SOURCE_DATE_EPOCH) * 1000)

// What leads to the others goes last but one, and what an earlier build left last, so that the program works all the time.
const files = new Map([
  // A function of what loads the modules of Node; see `CodeCache`.
  [name, `(function(require){${text}\n})`],
  ["package.json", `{ "type": "commonjs" }\n`],
  ["batchctl.1", render(version, made.toISOString().slice(0, 10))],
  ["batchctl.js", binary.outputFiles[0].text]
])
await mkdir(outdir, { recursive: true })
for (const [name, text] of files) await writeFile(new URL(name, outdir), text)
await chmod(new URL("batchctl.js", outdir), 0o755)
const stale = (await readdir(outdir)).filter((file) => !files.has(file))
await Promise.all(stale.map((file) => rm(new URL(file, outdir), { recursive: true })))

const bytes = [...files.values()].reduce((sum, text) => sum + text.length, 0)
console.log(`batchctl ${version}: ${files.size} files, ${Math.round(bytes / 1000)} kB`)
