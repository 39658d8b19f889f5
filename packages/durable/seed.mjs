/**
 * Packs the database that this release makes in an empty folder, so that the first start of an embedded store need not
 * make it. A release that finds an older one inside migrates it, as it does any other.
 */
import { PGlite } from "@electric-sql/pglite"
import { Effect, Layer } from "effect"
import { build } from "esbuild"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const place = new URL("seed/", import.meta.url)
await mkdir(place, { recursive: true })
const folder = await mkdtemp(join(tmpdir(), "batch-seed-"))
const bundle = fileURLToPath(new URL("Embedded.mjs", place))
try {
  await build({
    entryPoints: [fileURLToPath(new URL("src/Embedded.ts", import.meta.url))],
    outfile: bundle,
    bundle: true,
    platform: "node",
    format: "esm",
    external: ["effect", "pg-boss", "@electric-sql/pglite", "@electric-sql/pglite/nodefs"],
    logLevel: "error"
  })
  const Embedded = await import(new URL("Embedded.mjs", place).href)
  await Effect.runPromise(Effect.scoped(Layer.build(Embedded.layer(folder, { seed: join(folder, "none") }))))
  const db = await PGlite.create(join(folder, "db"))
  await db.exec("VACUUM ANALYZE")
  await db.exec("CHECKPOINT")
  const packed = await db.dumpDataDir("gzip")
  await db.close()
  await writeFile(new URL("database.tar.gz", place), new Uint8Array(await packed.arrayBuffer()))
  console.log(`seed/database.tar.gz: ${Math.round(packed.size / 1000)} kB`)
} finally {
  await rm(bundle, { force: true })
  await rm(folder, { recursive: true, force: true })
}
