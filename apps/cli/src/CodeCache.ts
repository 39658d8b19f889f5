/**
 * Loads the pieces of the program with the code that V8 has compiled for them in an earlier run, and keeps that code for
 * later ones. Code that others could have written is not run: folder and file have to belong to the user alone. Whatever
 * goes wrong with it, the program runs all the same, as if there were none.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync
} from "node:fs"
import { isAbsolute, join } from "node:path"
import { Script } from "node:vm"
import { crc32 } from "node:zlib"

/** Compiled code that stands behind less text than this, in characters, is not worth a file. */
const smallest = 20_000

/** Milliseconds after which a run that lasts keeps its code: what it needed to start is still known then. */
const soon = 1500

/** Milliseconds for which code is kept: that of other versions is of no use for ever. */
const longest = 30 * 86_400_000

/** A piece: a function that fills its exports, and asks for other pieces by their names. */
type Piece = (module: { exports: object }, exports: object, require: (id: string) => unknown) => void

/** Runs a piece of the program, and returns what it exports. `flags` are set for V8 before the first one is loaded. */
export const loader = (
  pieces: string,
  env: Readonly<Record<string, string | undefined>>,
  flags: string
): ((id: string) => unknown) => {
  const folder = folderOf(env)
  if (flags !== "") process.getBuiltinModule("v8").setFlagsFromString(flags)
  const modules = new Map<string, { exports: object }>()
  const load = (id: string): unknown => {
    if (!id.startsWith("./")) return process.getBuiltinModule(id)
    const known = modules.get(id)
    if (known !== undefined) return known.exports
    const module = { exports: {} }
    modules.set(id, module)
    const name = id.slice(2)
    const filename = join(pieces, name)
    const text = readFileSync(filename, "utf8")
    const piece: Piece =
      folder === undefined || text.length < smallest
        ? new Script(text, { filename }).runInThisContext()
        : compiled({ filename, flags, folder, name, text })
    piece(module, module.exports, load)
    return module.exports
  }
  return load
}

/** Where the code lies: under `XDG_CACHE_HOME`, or `.cache` in the home folder; nowhere if neither is known. */
const folderOf = (env: Readonly<Record<string, string | undefined>>): string | undefined => {
  if (env["NODE_DISABLE_COMPILE_CACHE"]) return undefined
  const set = env["XDG_CACHE_HOME"] ?? ""
  const home = env["HOME"] || env["USERPROFILE"] || ""
  const caches = isAbsolute(set) ? set : isAbsolute(home) ? join(home, ".cache") : undefined
  return caches === undefined ? undefined : join(caches, "batchctl", "code")
}

const compiled = (of: {
  readonly filename: string
  readonly flags: string
  readonly folder: string
  readonly name: string
  readonly text: string
}): Piece => {
  // V8 refuses the code of another version of itself, and of other flags.
  const engine = `${process.version} ${process.arch} ${process.execArgv.join(" ")} ${process.env["NODE_OPTIONS"] ?? ""} ${of.flags}`
  const path = join(of.folder, `${of.name}.${crc32(engine).toString(16).padStart(8, "0")}`)
  const cachedData = stored(of.folder, path, of.text)
  const script = new Script(of.text, { filename: of.filename, cachedData })
  if (cachedData === undefined || script.cachedDataRejected === true) {
    let isDone = false
    const keep = () => {
      if (!isDone) write(of.folder, path, of.text, script.createCachedData())
      isDone = true
    }
    process.once("exit", keep)
    setTimeout(keep, soon).unref()
  }
  return script.runInThisContext()
}

/** Whether nobody else can have written there. */
const isOwn = ({ mode, uid }: Stats): boolean =>
  process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0)

/** Behind the code stand the checksums of the text and of the code: V8 looks at neither. */
const sums = (text: string, code: Uint8Array): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt32LE(crc32(text), 0)
  bytes.writeUInt32LE(crc32(code), 4)
  return bytes
}

const stored = (folder: string, path: string, text: string): Buffer | undefined =>
  attempt(() => {
    if (!isOwn(lstatSync(folder))) return undefined
    const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    try {
      if (!isOwn(fstatSync(file))) return undefined
      const bytes = readFileSync(file)
      const code = bytes.subarray(0, -8)
      return sums(text, code).equals(bytes.subarray(-8)) ? code : undefined
    } finally {
      closeSync(file)
    }
  })

/** Puts the code there in one step, so that a run that starts meanwhile reads all of it or nothing. */
const write = (folder: string, path: string, text: string, code: Uint8Array): void => {
  const draft = `${path}.${process.pid}`
  const isWritten = attempt(() => {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const stats = lstatSync(folder)
    if (!stats.isDirectory() || !isOwn(stats)) return false
    writeFileSync(draft, Buffer.concat([code, sums(text, code)]), { flag: "wx", mode: 0o600 })
    renameSync(draft, path)
    return true
  })
  if (isWritten === undefined) attempt(() => rmSync(draft))
  if (isWritten === true) attempt(() => clear(folder))
}

/** Removes what is of no use any more. */
const clear = (folder: string): void => {
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (lstatSync(file).mtimeMs < Date.now() - longest) rmSync(file, { force: true })
  }
}

/** What an act gives; nothing if it fails. */
const attempt = <A>(act: () => A): A | undefined => {
  try {
    return act()
  } catch {
    return undefined
  }
}
