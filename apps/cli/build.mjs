/** Bundles the command line: what every command needs in one piece, and a piece for each thing that only some need. */
import { build } from "esbuild"
import { chmod, readdir, readFile, rm, writeFile } from "node:fs/promises"
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

/** Whatever is loaded later, but for what is answered without it, is loaded by the main piece, so what they share may stay in it: fewer files to read. */
const onePiece = {
  name: "one-piece",
  setup({ onLoad, onResolve, resolve }) {
    onResolve({ filter: /^/ }, async ({ kind, path, pluginData, ...options }) => {
      if (
        kind !== "dynamic-import" ||
        pluginData === onePiece ||
        !/^(?:\.{1,2}\/(?!Main|Answer|manual\/)|@org\/)/.test(path)
      )
        return
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

const { metafile } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: { batchctl: "src/Bin.ts" },
  outdir: "dist",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  minify: true,
  metafile: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  legalComments: "none",
  define: { BATCHCTL_VERSION: JSON.stringify(version) },
  plugins: [unused, onePiece],
  logLevel: "warning"
})
await chmod(new URL("batchctl.js", outdir), 0o755)

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
await writeFile(new URL("batchctl.1", outdir), render(version, made.toISOString().slice(0, 10)))

// What an earlier build left goes last, so that the program works all the time.
const written = ["batchctl.1", ...Object.keys(metafile.outputs).map((file) => basename(file))]
const stale = (await readdir(outdir)).filter((file) => !written.includes(file))
await Promise.all(stale.map((file) => rm(new URL(file, outdir), { recursive: true })))

const outputs = Object.values(metafile.outputs)
const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0)
console.log(`batchctl ${version}: ${outputs.length} files, ${Math.round(bytes / 1000)} kB`)
