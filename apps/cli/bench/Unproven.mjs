/**
 * batchctl without its proof, for one measurement only: the same transfer, journal and syncs, but nothing reads what
 * was written. It is not for use, and nobody can switch it on in the program that is.
 */
import { build } from "esbuild"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const instead = `
export const rows = ({ file }) =>
  Effect.as(file.beyond(Infinity), {
    records: Number(process.env.BENCH_RECORDS), blankLines: 0, inflatedBytes: 0, unterminated: false, isPlain: false
  })
export const digest = (files) => Effect.as(Effect.forEach(files, (file) => file.beyond(Infinity)), "")
`

const withoutProof = {
  name: "without-proof",
  setup({ onLoad }) {
    onLoad({ filter: /core\/src\/proof\/Proof\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8")
      const renamed = source
        .replace("export const rows =", "const rows_ =")
        .replace("export const digest =", "const digest_ =")
      if (!/const rows_[^]+const digest_/.test(renamed)) throw new Error("Proof.ts has other exports now")
      return { contents: `${renamed}${instead}`, loader: "ts" }
    })
  }
}

/** Builds it, and says where it is. */
export const unproven = async (folder) => {
  await build({
    absWorkingDir: join(import.meta.dirname, ".."),
    entryPoints: { unproven: "src/Main.ts" },
    outdir: join(folder, "unproven"),
    outExtension: { ".js": ".cjs" },
    bundle: true,
    minify: true,
    platform: "node",
    format: "cjs",
    target: "node20.19",
    define: { BATCHCTL_VERSION: '"without-proof"' },
    plugins: [withoutProof],
    logLevel: "warning"
  })
  return join(folder, "unproven", "unproven.cjs")
}
