import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { localMachine } from "../src/LocalMachine.js"

describe.runIf(process.platform === "linux")("LocalMachine", () => {
  it.effect("has one name for this process, which is not dead", () =>
    Effect.gen(function* () {
      const name = yield* localMachine.self
      expect(name).toMatch(new RegExp(`^[0-9a-f-]{36} pid:\\[\\d+\\] ${process.pid} \\d+$`, "u"))
      expect(yield* localMachine.self).toBe(name)
      expect(yield* localMachine.isDead(name)).toBe(false)
    })
  )

  it.effect("knows that a process has ended", () =>
    Effect.gen(function* () {
      const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], { stdio: "pipe" })
      const name = (yield* localMachine.self).replace(` ${process.pid} `, ` ${child.pid} `)
      child.kill("SIGKILL")
      yield* Effect.promise(() => once(child, "exit"))
      expect(yield* localMachine.isDead(name)).toBe(true)
    })
  )

  it.effect("knows that another process has the number now", () =>
    Effect.gen(function* () {
      expect(yield* localMachine.isDead((yield* localMachine.self).replace(/\d+$/u, "1"))).toBe(true)
    })
  )

  it.effect("does not judge other boots, other namespaces and names of another kind", () =>
    Effect.gen(function* () {
      const name = (yield* localMachine.self).replace(/\d+$/u, "1")
      for (const other of [
        name.replace(/^./u, "x"),
        name.replace("pid:[", "pid:[1"),
        "",
        "somebody",
        `${name} `
      ])
        expect(yield* localMachine.isDead(other), other).toBe(false)
    })
  )
})
