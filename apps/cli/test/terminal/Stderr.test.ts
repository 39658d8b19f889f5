import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Stderr from "../../src/terminal/Stderr.js"
import { restored, unbroken } from "../../src/terminal/Wrap.js"

/** What is written to a terminal of 40 columns, or to a log. */
const written = (
  env: Readonly<Record<string, string>>,
  isTTY: boolean,
  use: (stderr: Stderr.Service) => Effect.Effect<void>
): Effect.Effect<string> =>
  Effect.gen(function* () {
    const texts: Array<string> = []
    yield* use(yield* Stderr.make({ isTTY, columns: 40, write: (text) => texts.push(text) }, env))
    return texts.join("")
  })

const scene = (stderr: Stderr.Service) =>
  Effect.all(
    [
      stderr.live("one"),
      stderr.live("two"),
      stderr.line("stays"),
      stderr.live("three"),
      stderr.clear,
      stderr.clear
    ],
    {
      discard: true
    }
  )

it.effect("redraws one line on a terminal, and leaves none behind", () =>
  Effect.gen(function* () {
    const erase = "\r\u001b[2K"
    expect(yield* written({ TERM: "xterm" }, true, scene)).toBe(
      `${erase}one${erase}two${erase}stays\n${erase}three${erase}`
    )
  })
)

it.effect.each([
  [{ TERM: "dumb" }, true],
  [{ TERM: "xterm", CI: "true" }, true],
  [{ TERM: "xterm" }, false]
] as const)("%j, terminal %j: lines that stay and nothing else", ([env, isTTY]) =>
  Effect.gen(function* () {
    expect(yield* written(env, isTTY, scene)).toBe("stays\n")
  })
)

it.effect("NO_COLOR takes the colour and leaves the bar", () =>
  Effect.gen(function* () {
    const { color, interactive } = yield* Stderr.make({ isTTY: true, write: () => true }, { NO_COLOR: "1" })
    expect({ color, interactive }).toEqual({ color: false, interactive: true })
  })
)

it.effect.each([
  [undefined, 80],
  [0, 80],
  [10, 20],
  [132, 132]
] as const)("a terminal that says %j columns: %j", ([columns, expected]) =>
  Effect.gen(function* () {
    const stderr = yield* Stderr.make({ isTTY: true, columns, write: () => true }, {})
    expect(yield* stderr.columns).toBe(expected)
  })
)

it.effect("redraws several lines, each in its place", () =>
  Effect.gen(function* () {
    const text = yield* written({ TERM: "xterm" }, true, (stderr) =>
      Effect.zipRight(stderr.live("one", "two", "three"), Effect.zipRight(stderr.live("four"), stderr.clear))
    )
    const erase = "\r\u001b[2K"
    const up = "\u001b[1A\u001b[2K"
    expect(text).toBe(`${erase}one\ntwo\nthree${erase}${up}${up}four${erase}`)
  })
)

it.effect("wraps what stays between words, and never a command", () =>
  Effect.gen(function* () {
    const command = unbroken("batchctl get 01234567-89ab-4cde-8f01-23456789abcd")
    const text = `  next   once there is room, then ${command} again`
    const say = (stderr: Stderr.Service) => stderr.line(text)
    expect(yield* written({ TERM: "xterm" }, true, say)).toBe(
      "  next   once there is room, then\nbatchctl get 01234567-89ab-4cde-8f01-23456789abcd\n         again\n"
    )
    expect(yield* written({}, false, say)).toBe(`${restored(text)}\n`)
  })
)
