/**
 * Bundles the command line: a small file that answers what needs no program, and the program, which it loads with the
 * code that V8 keeps of it. Of the program what every command needs is in one piece, and there is a piece for each thing
 * that only some need.
 */
import { build, transform } from "esbuild"
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { basename } from "node:path"
import { fileURLToPath } from "node:url"

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"))
const outdir = new URL("dist/", import.meta.url)
const main = fileURLToPath(new URL("src/Main.ts", import.meta.url))

/**
 * Schemas can invent values, and the proxy agents can tell what they do; no command asks for it, and loading it costs
 * every command a tenth of its start.
 */
const unused = {
  name: "unused",
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /^(?:fast-check|debug)$/ }, ({ path }) => ({
      path,
      namespace: "unused"
    }))
    onLoad({ filter: /.*/, namespace: "unused" }, () => ({
      contents: "module.exports = () => () => undefined"
    }))
  }
}

/** Parts of Node that cost time to load, and that many a run does not need, are loaded when something of them is used. */
const whenUsed = {
  name: "when-used",
  setup({ onLoad, onResolve }) {
    const costly = /^(?:node:)?(child_process|crypto|dns|fs\/promises|https|os|tls|vm|zlib)$/
    onResolve({ filter: costly }, ({ path }) => ({ path: costly.exec(path)[1], namespace: "when-used" }))
    onLoad({ filter: /.*/, namespace: "when-used" }, ({ path }) => {
      const names = Object.keys(process.getBuiltinModule(path)).filter((name) => /^\w+$/.test(name))
      return {
        contents: `let loaded; const the = () => (loaded ??= process.getBuiltinModule("${path}"))
          module.exports = { ${names.map((name) => `get ${name}() { return the().${name} }`).join(", ")} }`
      }
    })
  }
}

/** Whatever is loaded later is loaded by the main piece, so what they share may stay in it: fewer files to read. */
const onePiece = {
  name: "one-piece",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^(?:\.{1,2}\/|@org\/)/ }, async ({ kind, path, pluginData, ...options }) => {
      if (kind !== "dynamic-import" || pluginData === onePiece) return
      const { path: file } = await resolve(path, { ...options, kind, pluginData: onePiece })
      return { path: file, pluginData: "later" }
    })
    onLoad({ filter: /\.ts$/ }, async ({ path, pluginData }) =>
      pluginData === "later"
        ? { contents: `import ${JSON.stringify(main)}\n${await readFile(path, "utf8")}`, loader: "ts" }
        : undefined
    )
  }
}

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
  chunkNames: "[name]-[hash]",
  splitting: true,
  format: "esm",
  plugins: [unused, whenUsed, onePiece]
})

/** A piece as a function of what it exports and of what loads the other pieces; see `CodeCache`. */
const piece = async ({ path, text }) => {
  const { code } = await transform(text, {
    format: "cjs",
    minify: true,
    target: common.target,
    platform: "node",
    supported: { "dynamic-import": false }
  })
  return [basename(path), `(function(module,exports,require){${code}})`]
}
const pieces = await Promise.all(program.outputFiles.map(piece))

const binary = await build({
  ...common,
  entryPoints: { batchctl: "src/Bin.ts" },
  outdir: "dist",
  format: "cjs",
  define: {
    "import.meta.dirname": "__dirname",
    BATCHCTL_VERSION: JSON.stringify(version),
    BATCHCTL_PROGRAM: JSON.stringify(pieces.map(([name]) => name).find((name) => name.startsWith("program-")))
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
  ...pieces,
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
