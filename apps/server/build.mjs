/** Bundles the service into one file without dependencies, and the demo into another. */
import { build } from "esbuild"
import { chmod, readFile } from "node:fs/promises"

const { version } = JSON.parse(await readFile(new URL("package.json", import.meta.url), "utf8"))

const { metafile } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: { "batch-server": "src/Main.ts", demo: "src/Demo.ts" },
  outdir: "dist",
  bundle: true,
  minify: true,
  metafile: true,
  platform: "node",
  format: "esm",
  target: "node20.19",
  legalComments: "none",
  loader: { ".html": "text" },
  // What is not ESM inside asks for Node's modules with require.
  banner: {
    js: `import { createRequire as createRequire_ } from "node:module"; const require = createRequire_(import.meta.url);`
  },
  define: { BATCH_SERVER_VERSION: JSON.stringify(version) },
  logLevel: "warning"
})
await chmod(new URL("dist/batch-server.js", import.meta.url), 0o755)

const { bytes } = metafile.outputs["dist/batch-server.js"]
console.log(`batch-server ${version}: ${Math.round(bytes / 1000)} kB`)
