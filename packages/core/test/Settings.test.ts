import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as BatchConfig from "../src/model/BatchConfig.js"
import * as DurationText from "../src/model/DurationText.js"

const settings = readFileSync(fileURLToPath(new URL("../../../docs/settings.md", import.meta.url)), "utf8")

/** The table of figures: variable → documented default. */
const documented = new Map(
  [...settings.matchAll(/^\| `(BATCH_[A-Z_]+)`\s*\|.*\| `([^`]+)`\s*\|$/gmu)].map(
    ([, name = "", dflt = ""]) => [name, dflt]
  )
)

const load = (variables: ReadonlyMap<string, string>) =>
  BatchConfig.BatchConfig.pipe(
    Effect.provide(
      BatchConfig.layerConfig().pipe(
        Layer.provide(Layer.setConfigProvider(ConfigProvider.fromMap(new Map(variables), { pathDelim: "_" })))
      )
    )
  )

describe("docs/settings.md", () => {
  it.effect("documents every figure's variable, and no others", () =>
    Effect.gen(function* () {
      const { poll, retry, transfer } = yield* load(new Map())
      const names = Object.entries({ poll, retry, transfer }).flatMap(([group, figures]) =>
        Object.keys(figures).map((name) => `BATCH_${group}_${name.replace(/[A-Z]/gu, "_$&")}`.toUpperCase())
      )
      expect([...documented.keys()].toSorted()).toEqual(names.toSorted())
    })
  )

  it.effect("documents every figure's default", () =>
    Effect.gen(function* () {
      const defaults = yield* load(new Map())
      expect(yield* load(documented)).toEqual(defaults)
    })
  )

  it.effect("documents every figure's variable such that it takes effect", () =>
    Effect.gen(function* () {
      const defaults = JSON.stringify(yield* load(new Map()))
      for (const [name, dflt] of documented) {
        const other = Number.isNaN(Number(dflt)) ? twice(dflt) : String(Number(dflt) + 1)
        const changed = yield* load(new Map([[name, other]]))
        expect(JSON.stringify(changed), name).not.toBe(defaults)
      }
    })
  )
})

const twice = (text: string): string =>
  DurationText.parse(text).pipe((parsed) =>
    parsed._tag === "Right" ? `${Duration.toMillis(parsed.right) * 2}ms` : `not a duration: ${text}`
  )
