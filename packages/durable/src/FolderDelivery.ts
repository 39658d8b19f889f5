/**
 * The publication of a staged file under its name in the folder. One of several processes that come to this point at the
 * same time wins: a hard link refuses to replace.
 */
import { StorageError } from "@org/batch-core/BatchError"
import { Effect, Predicate } from "effect"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { copyFile, link, lstat, mkdir, open, realpath, rename, rm, stat } from "node:fs/promises"
import { dirname, join, sep } from "node:path"
import { pipeline } from "node:stream/promises"

/** What is published, and what it holds. */
export interface Publication {
  /** The whole and proven file. */
  readonly from: string
  /** The root that the destination must lie in. */
  readonly root: string
  /** Relative to the root. */
  readonly path: string
  readonly sha256: string
  readonly replace: boolean
  /** Whether this retrieval has come to this point before: what is there and the same, is its own. */
  readonly again: boolean
  /** In the names of what lies beside the destination for a moment: unique to this attempt. */
  readonly fence: string
}

const codeOf = (cause: unknown): string =>
  Predicate.hasProperty(cause, "code") && Predicate.isString(cause.code) ? cause.code : "EIO"

const reasons: Readonly<Record<string, StorageError["reason"]>> = {
  ENOSPC: "NoSpace",
  EDQUOT: "NoSpace",
  EACCES: "Denied",
  EPERM: "Denied",
  EROFS: "Denied",
  EEXIST: "Exists"
}

const attempt = <A>(path: string, run: () => Promise<A>): Effect.Effect<A, StorageError> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => {
      const code = codeOf(cause)
      return new StorageError({ reason: reasons[code] ?? "Unwritable", path, detail: code })
    }
  })

const exists = (path: string): StorageError =>
  new StorageError({ reason: "Exists", path, detail: "it was left untouched" })

/** Fails where the destination could not be published, before anything is fetched. */
export const check = (
  publication: Pick<Publication, "again" | "path" | "replace" | "root">
): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { again, path, replace, root } = publication
    const to = yield* place(root, path)
    const found = yield* attempt(path, () => lstat(to).catch((cause: unknown) => absent(cause)))
    if (found === undefined) return
    if (!found.isFile()) {
      const detail = found.isDirectory() ? "it is a folder" : "it is no plain file"
      return yield* new StorageError({ reason: replace ? "Unwritable" : "Exists", path, detail })
    }
    if (!replace && !again) return yield* exists(path)
  })

const absent = (cause: unknown): undefined => {
  if (codeOf(cause) === "ENOENT") return undefined
  throw cause
}

/** The destination's place, in a folder that is made, and that no link leads out of the root. */
const place = (root: string, path: string): Effect.Effect<string, StorageError> =>
  attempt(path, async () => {
    await mkdir(root, { recursive: true })
    const home = await realpath(root)
    const folder = dirname(join(home, path))
    // The deepest folder that is there decides, so that none is made behind a link that leads out.
    let known = folder
    while (known !== home && (await stat(known).catch(absent)) === undefined) known = dirname(known)
    const real = await realpath(known)
    if (real !== home && !real.startsWith(`${home}${sep}`)) {
      throw Object.assign(new Error("outside"), { code: "it leads out of the service's folder by a link" })
    }
    await mkdir(folder, { recursive: true })
    return join(home, path)
  })

/** Publishes; succeeds as well if the very same is there already from an earlier attempt of this retrieval. */
export const publish = (publication: Publication): Effect.Effect<void, StorageError> =>
  Effect.gen(function* () {
    const { again, fence, from, path, replace, root, sha256 } = publication
    const to = yield* place(root, path)
    const isDone = yield* attempt(path, async () => {
      // Beside the staged file, so that nothing is left in the folder of the destination when the process is killed here.
      const beside = `${from}.${fence}`
      await rm(beside, { force: true })
      await link(from, beside).catch(() => copyFile(from, beside))
      try {
        return await name(beside, to, replace)
      } catch (cause) {
        if (codeOf(cause) !== "EXDEV") throw cause
        return await copied(from, to, { fence, replace })
      } finally {
        await rm(beside, { force: true })
      }
    })
    if (!isDone && !(again && (yield* attempt(path, () => digest(to))) === sha256)) return yield* exists(path)
    yield* Effect.promise(() => sync(dirname(to), "r").catch(() => undefined))
  }).pipe(Effect.uninterruptible)

const name = (from: string, to: string, replace: boolean): Promise<boolean> =>
  replace ? rename(from, to).then(() => true) : exclusively(from, to)

/** A destination on another disk than the staged file. */
const copied = async (
  from: string,
  to: string,
  { fence, replace }: Pick<Publication, "fence" | "replace">
): Promise<boolean> => {
  const beside = join(dirname(to), `.${fence}.partial`)
  try {
    await copyFile(from, beside)
    await sync(beside, "r+")
    return await name(beside, to, replace)
  } finally {
    await rm(beside, { force: true })
  }
}

/** Links under the name; where there are no links, makes the name first, which has one winner, and renames onto it. */
const exclusively = async (from: string, to: string): Promise<boolean> => {
  try {
    await link(from, to)
    return true
  } catch (cause) {
    const code = codeOf(cause)
    if (code === "EEXIST") return false
    if (code === "EXDEV" || code === "ENOSPC" || code === "EACCES") throw cause
    const made = await open(to, "wx").catch((error: unknown) => {
      if (codeOf(error) === "EEXIST") return undefined
      throw error
    })
    if (made === undefined) return false
    await made.close()
    await rename(from, to)
    return true
  }
}

const sync = async (path: string, flag: string): Promise<void> => {
  const file = await open(path, flag)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

const digest = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: 1_048_576 }), hash)
  return hash.digest("hex")
}
