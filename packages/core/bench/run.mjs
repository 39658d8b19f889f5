/** Benchmarks of core: `pnpm bench`. How long a list takes to be planned, and the memory beyond an empty Node. */
import { build } from "esbuild"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { createWriteStream, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = mkdtempSync(join(tmpdir(), "batch-core-bench-"))

/** A list of so many companies, the last thousand of which were there before. */
const list = async (rows) => {
  const path = join(folder, `${rows}.csv`)
  const file = createWriteStream(path)
  file.write("id,name,website,city\n")
  for (let from = 0; from < rows; from += 1000) {
    const lines = Array.from({ length: 1000 }, (_, at) => {
      const n = (from + at) % (rows - 1000)
      return `${from + at},"Company ${n}, Inc.",www-${n}.company-${n % 7919}.example,Berlin\n`
    })
    if (!file.write(lines.join(""))) await once(file, "drain")
  }
  file.end()
  await once(file, "finish")
  return path
}

const node = (...args) => execFileSync(process.execPath, args, { encoding: "utf8" })

try {
  const program = join(folder, "plan.mjs")
  await build({
    entryPoints: [fileURLToPath(new URL("Planning.mjs", import.meta.url))],
    outfile: program,
    bundle: true,
    format: "esm",
    platform: "node",
    banner: {
      js: `import { createRequire } from "node:module"; const require = createRequire(import.meta.url)`
    },
    logLevel: "error"
  })
  const empty = Number(node("-p", "Math.round(process.resourceUsage().maxRSS / 1024)"))
  for (const rows of [10_000, 100_000, 1_000_000]) {
    const path = await list(rows)
    const { peak, ...figures } = JSON.parse(node(program, path, folder))
    const began = performance.now()
    execFileSync("sort", ["-u", "-o", "/dev/null", path])
    const ofSort = (figures.milliseconds / (performance.now() - began)).toFixed(2)
    console.log({ ...figures, beyondEmptyNode: `${peak - empty} MiB`, "of sort -u": ofSort })
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
