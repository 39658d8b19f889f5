import { EventEmitter } from "node:events"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import * as Signals from "../src/Signals.js"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it.each([
  ["SIGINT", 130],
  ["SIGTERM", 143]
] as const)("%s is noted as %d, and the process is left to the runtime", (signal, code) => {
  const { exits, send, target } = fake()
  const signalled = Signals.watch(target)
  expect(signalled()).toBeUndefined()
  send(signal)
  expect(signalled()).toBe(code)
  vi.advanceTimersByTime(3_600_000)
  expect(exits).toEqual([])
})

it("ends the process when leaving takes longer than its grace period", () => {
  const { exits, send, target } = fake()
  Signals.watch(target, { gracePeriod: "800 millis" })
  send("SIGTERM")
  vi.advanceTimersByTime(799)
  expect(exits).toEqual([])
  vi.advanceTimersByTime(1)
  expect(exits).toEqual([143])
})

it("ends the process at once on a second signal, with its code; the first is what is told", () => {
  const { exits, send, target } = fake()
  const signalled = Signals.watch(target, { gracePeriod: "1 minute" })
  send("SIGINT")
  send("SIGTERM")
  expect(exits).toEqual([143])
  expect(signalled()).toBe(130)
})

it("does not keep a process alive that has come to its end", () => {
  const { send, target } = fake()
  Signals.watch(target, { gracePeriod: "1 minute" })
  const timers = vi.spyOn(globalThis, "setTimeout")
  send("SIGINT")
  expect(timers.mock.results.map(({ value }) => value.hasRef())).toEqual([false])
})

it("watches a process", () => {
  const before = process.listenerCount("SIGTERM")
  Signals.watch(process)
  expect(process.listenerCount("SIGTERM")).toBe(before + 1)
  process
    .listeners("SIGTERM")
    .slice(before)
    .forEach((listener) => process.off("SIGTERM", listener))
  process
    .listeners("SIGINT")
    .slice(-1)
    .forEach((listener) => process.off("SIGINT", listener))
})

const fake = () => {
  const emitter = new EventEmitter()
  const exits: Array<number> = []
  const target: Signals.Target = {
    on: (signal, listener) => emitter.on(signal, listener),
    exit: (code) => exits.push(code)
  }
  return { target, exits, send: (signal: "SIGINT" | "SIGTERM") => emitter.emit(signal) }
}
