/**
 * Loads the program with the code that V8 has compiled for it in an earlier run, and keeps that code for later ones. Code
 * that others could have written is not run: folder and file have to belong to the user alone. Whatever goes wrong with it,
 * the program runs all the same, as if there were none.
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
import { basename, isAbsolute, join } from "node:path"
import { Script } from "node:vm"
import { crc32 } from "node:zlib"

/** Milliseconds after which a run that lasts keeps its code, if there is none: it may be killed. */
const soon = 1500

/** Microseconds of CPU time after which V8 may have forgotten what a run needed to start. */
const brief = 1_500_000

/** Milliseconds for which code is kept: that of other versions is of no use for ever. */
const longest = 30 * 86_400_000

/** The program: a function of what loads the modules of Node. */
type Program = (require: (id: string) => unknown) => void

/** What is run, and how. */
export interface Options {
  /** The file of the program, which has no character but those of ASCII. */
  readonly filename: string
  /** What it is run for: each has code of its own, that of the functions that it needs. */
  readonly command: string
  /** Flags that are set for V8 before the program is loaded. */
  readonly flags: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Runs the program. */
export const run = (options: Options): void => {
  const { env, filename, flags } = options
  if (flags !== "") process.getBuiltinModule("v8").setFlagsFromString(flags)
  const folder = folderOf(env)
  const text = readFileSync(filename, "latin1")
  const program: Program =
    folder === undefined ? new Script(text, { filename }).runInThisContext() : compiled(text, folder, options)
  program((id) => process.getBuiltinModule(id))
}

/** Where the code lies: under `XDG_CACHE_HOME`, or `.cache` in the home folder; nowhere if neither is known. */
const folderOf = (env: Readonly<Record<string, string | undefined>>): string | undefined => {
  if (env["NODE_DISABLE_COMPILE_CACHE"]) return undefined
  const set = env["XDG_CACHE_HOME"] ?? ""
  const home = env["HOME"] || env["USERPROFILE"] || ""
  const caches = isAbsolute(set) ? set : isAbsolute(home) ? join(home, ".cache") : undefined
  return caches === undefined ? undefined : join(caches, "batchctl", "code")
}

const compiled = (text: string, folder: string, { command, env, filename, flags }: Options): Program => {
  // V8 refuses the code of another version of itself, and of other flags.
  const engine = `${process.version} ${process.arch} ${process.execArgv.join(" ")} ${env["NODE_OPTIONS"] ?? ""} ${flags}`
  const name = `${basename(filename)}.${command}.${crc32(engine).toString(16).padStart(8, "0")}`
  const path = join(folder, name)
  const kept = stored(folder, path, text)
  const script = new Script(text, { filename, cachedData: kept?.code })
  const isNew = kept === undefined || script.cachedDataRejected === true
  if (isNew || !kept.isWhole) {
    let isDue = isNew
    const keep = (isWhole: boolean) => {
      if (isDue || isWhole) write(folder, path, text, { code: script.createCachedData(), isWhole })
      isDue = false
    }
    process.once("exit", (code) => keep(code === 0 && process.cpuUsage().user < brief))
    setTimeout(() => keep(false), soon).unref()
  }
  return script.runInThisContext()
}

/** What V8 has compiled. It is whole if a run has ended well with it: others need not have got to all that the command does. */
interface Code {
  readonly code: Buffer
  readonly isWhole: boolean
}

/** Whether nobody else can have written there. */
const isOwn = ({ mode, uid }: Stats): boolean =>
  process.geteuid === undefined || (uid === process.geteuid() && (mode & 0o022) === 0)

/** Behind the code stand whether it is whole, and the checksums of the text and of the code: V8 looks at neither. */
const footer = (text: string, { code, isWhole }: Code): Buffer => {
  const bytes = Buffer.alloc(footerBytes)
  bytes.writeUInt8(Number(isWhole), 0)
  bytes.writeUInt32LE(crc32(text), 1)
  bytes.writeUInt32LE(crc32(code), 5)
  return bytes
}

const footerBytes = 9

const stored = (folder: string, path: string, text: string): Code | undefined =>
  attempt(() => {
    if (!isOwn(lstatSync(folder))) return undefined
    const file = openSync(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0))
    try {
      if (!isOwn(fstatSync(file))) return undefined
      const bytes = readFileSync(file)
      const kept = { code: bytes.subarray(0, -footerBytes), isWhole: bytes.at(-footerBytes) === 1 }
      return footer(text, kept).equals(bytes.subarray(-footerBytes)) ? kept : undefined
    } finally {
      closeSync(file)
    }
  })

/** Puts the code there in one step, so that a run that starts meanwhile reads all of it or nothing. */
const write = (folder: string, path: string, text: string, kept: Code): void => {
  const draft = `${path}.${process.pid}`
  const isWritten = attempt(() => {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const stats = lstatSync(folder)
    if (!stats.isDirectory() || !isOwn(stats)) return false
    writeFileSync(draft, Buffer.concat([kept.code, footer(text, kept)]), { flag: "wx", mode: 0o600 })
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
