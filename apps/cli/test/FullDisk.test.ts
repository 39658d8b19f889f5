import { expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { join } from "node:path"
import { objects, over, world } from "./Batchctl.js"

it.scopedLive(
  "a full disk: 9, the destination does not appear, and the same command works once there is room",
  (context) =>
    Effect.gen(function* () {
      const { folder, run, sandbox } = yield* world()
      const disk = join(folder, "small")
      if (!(yield* mounted(disk, "256k"))) return context.skip("a small disk can be mounted by root only")
      const id = yield* sandbox.createJob({ ...over, records: 800 })
      const output = join(disk, "rows.jsonl.gz")
      const { code, stderr, stdout } = yield* run(["get", id, "-o", output, "--json"])
      expect(code).toBe(9)
      expect(objects(stdout)[0]).toMatchObject({
        batch_id: id,
        error: { type: "StorageError", reason: "NoSpace" }
      })
      expect(stderr).toMatch(
        /the disk is full \([\d,]+ more bytes are needed, and there is room for [\d,]+\)/u
      )
      expect((yield* sandbox.requests).filter(({ server }) => server === "storage")).toHaveLength(1)
      expect(stderr).toContain(`next   make room, then batchctl get ${id} -o ${output} --json`)
      expect(existsSync(output)).toBe(false)
      execFileSync("mount", ["-o", "remount,size=16m", disk])
      expect((yield* run(["get", id, "-o", output])).code).toBe(0)
    })
)

/** A disk of its own, unmounted with the scope; `false` where that is not allowed. */
const mounted = (folder: string, size: string): Effect.Effect<boolean, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try(() => {
      mkdirSync(folder)
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder], { stdio: "ignore" })
      return true
    }).pipe(Effect.catchAll(() => Effect.succeed(false))),
    (isMounted) => Effect.sync(() => isMounted && execFileSync("umount", ["-l", folder]))
  )
