/** Packs an empty database, so that the first start of an embedded store need not make one. */
import { PGlite } from "@electric-sql/pglite"
import { mkdir, writeFile } from "node:fs/promises"

const db = await PGlite.create()
await db.exec("CHECKPOINT")
const packed = await db.dumpDataDir("gzip")
await db.close()
await mkdir(new URL("seed/", import.meta.url), { recursive: true })
await writeFile(new URL("seed/database.tar.gz", import.meta.url), new Uint8Array(await packed.arrayBuffer()))
console.log(`seed/database.tar.gz: ${Math.round(packed.size / 1000)} kB`)
