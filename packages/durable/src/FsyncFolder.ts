/**
 * The files of an embedded PostgreSQL on the disk, with the `fsync` that PGlite's own file system lacks: without it a
 * commit is in the memory of the system only. See https://github.com/electric-sql/pglite/issues/1107.
 */
import { NodeFS } from "@electric-sql/pglite/nodefs"
import { Predicate } from "effect"
import { fsyncSync } from "node:fs"

/** How often a file was synced in this process: a canary for a release of PGlite in which this has no effect any more. */
export const syncs = { count: 0 }

/** PGlite's file system for Node, with `fsync`. */
export class FsyncFolder extends NodeFS {
  override async init(...args: Parameters<NodeFS["init"]>): ReturnType<NodeFS["init"]> {
    const made = await super.init(...args)
    const before = made.emscriptenOpts.preRun
    const steps = Array.isArray(before) ? before : before === undefined ? [] : [before]
    made.emscriptenOpts.preRun = [...steps, giveSync]
    return made
  }
}

const giveSync = (module: unknown): void => {
  const nodeFs = Predicate.hasProperty(module, "NODEFS") ? module.NODEFS : undefined
  const operations = Predicate.hasProperty(nodeFs, "stream_ops") ? nodeFs.stream_ops : undefined
  if (!Predicate.isRecord(operations)) throw new Error("PGlite has no file operations to give an fsync to")
  operations["fsync"] = (stream: unknown): number => {
    if (Predicate.hasProperty(stream, "nfd") && Predicate.isNumber(stream.nfd)) {
      fsyncSync(stream.nfd)
      syncs.count += 1
    }
    return 0
  }
}
