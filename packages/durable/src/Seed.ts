/**
 * The packed empty database of this package, unpacked as a folder of files: much faster than PostgreSQL making one, or
 * PGlite unpacking it.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"

const inflate = promisify(gunzip)

/** A tape archive consists of blocks of so many bytes: one with a name and a size, then those of the content. */
const block = 512

/** Where the fields of the first block are. */
const fields = { name: [0, 100], size: [124, 136], kind: [156, 157], prefix: [345, 500] } as const

/** Unpacks an archive (`.tar.gz`) of files and folders into a folder that is not there yet. */
export const unpack = async (archive: string, folder: string): Promise<void> => {
  const bytes = await inflate(await readFile(archive))
  await mkdir(folder, { mode: 0o700 })
  for (let place = 0; place + block <= bytes.length;) {
    const field = (name: keyof typeof fields): string => {
      const [from, to] = fields[name]
      return bytes.toString("latin1", place + from, place + to).replace(/[\0 ].*$/su, "")
    }
    const name = field("name")
    const size = Number.parseInt(field("size"), 8) || 0
    const path = join(folder, field("prefix"), name)
    if (field("kind") === "5") await mkdir(path, { recursive: true, mode: 0o700 })
    else if (name !== "")
      await writeFile(path, bytes.subarray(place + block, place + block + size), { mode: 0o600, flush: true })
    place += block + Math.ceil(size / block) * block
  }
}
