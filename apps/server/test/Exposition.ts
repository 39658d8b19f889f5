/** A strict reader of Prometheus text, version 0.0.4: whatever the format does not allow is an error. */

/** A metric and its samples, by their name and labels as they are printed. */
export interface Family {
  readonly type: string
  readonly samples: ReadonlyMap<string, number>
}

const help = /^# HELP ([a-zA-Z_:][\w:]*) (?:[^\\]|\\[\\n])*$/u
const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/u
const sample =
  /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$/u

/** Reads a text: one family after the other, each sample once and under the type that was said before. */
export const parse = (text: string): ReadonlyMap<string, Family> => {
  if (!text.endsWith("\n")) throw new Error("the last line has no end")
  const families = new Map<string, { readonly type: string; readonly samples: Map<string, number> }>()
  let current = ""
  for (const line of text.slice(0, -1).split("\n")) {
    const [, helped] = help.exec(line) ?? []
    if (helped !== undefined) {
      if (families.has(helped)) throw new Error(`HELP after its family: ${line}`)
      continue
    }
    const [, typed, kind = ""] = type.exec(line) ?? []
    if (typed !== undefined) {
      if (families.has(typed)) throw new Error(`a second TYPE: ${line}`)
      families.set((current = typed), { type: kind, samples: new Map() })
      continue
    }
    const [, name = "", labels = "", value = ""] = sample.exec(line) ?? []
    const family = families.get(current)
    const suffix = family?.type === "histogram" ? "(?:_bucket|_sum|_count)" : ""
    if (family === undefined || !new RegExp(`^${current}${suffix}$`, "u").test(name)) {
      throw new Error(`no sample of ${current}: ${line}`)
    }
    if (family.samples.has(name + labels)) throw new Error(`a second sample: ${line}`)
    family.samples.set(name + labels, Number(value.replace("Inf", "Infinity")))
  }
  return families
}
